package pe_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"kdap/engine/arch/amd64"
	"kdap/engine/dump"
	"kdap/engine/memory"
	"kdap/engine/pe"
	"kdap/internal/truth"
)

type moduleTruth struct {
	Name                string
	Base                string
	Size                uint32
	Checksum, Timestamp uint32
	PDB                 *struct {
		Name, GUID string
		Age        uint32
	}
}

// TestLabModules reads every module's headers and CodeView record from the memory
// of the reference dump.
func TestLabModules(t *testing.T) {
	var lab struct {
		System struct {
			Exports    int
			KernelBase string
			Processors []struct{ RIP string } // the first stands at KeBugCheckEx
		}
		Modules   []moduleTruth
		Processes []struct {
			Name    string
			Dirbase string
			Modules []moduleTruth
		}
	}
	truth.JSON(t, &lab, "dumps", "lab19041.json")
	f, err := dump.Open(t.Context(), truth.Dump(t, "lab19041"), dump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tr := amd64.NewPaging(amd64.PagingOptions{})
	kernel := memory.NewAddressSpace(f, tr, amd64.CleanDTB(f.Header.DirectoryTableBase), nil)
	read, missing := 0, 0
	check := func(space memory.Space, m moduleTruth, user bool) {
		base, err := strconv.ParseUint(m.Base, 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		im, err := pe.FromMemory(space, base)
		var re *memory.ReadError
		if errors.As(err, &re) {
			missing++
			return
		}
		if err != nil {
			t.Errorf("%s: %v", m.Name, err)
			return
		}
		if im.SizeOfImage != m.Size || im.TimeDateStamp != m.Timestamp || !user && im.CheckSum != m.Checksum {
			t.Errorf("%s: size %#x stamp %#x checksum %#x, want %+v", m.Name, im.SizeOfImage, im.TimeDateStamp, im.CheckSum, m)
		}
		cv, err := im.CodeView()
		switch {
		case m.PDB == nil:
			return
		case errors.As(err, &re):
			missing++
			return
		case err != nil:
			t.Errorf("%s: %v", m.Name, err)
			return
		}
		got := fmt.Sprintf("%s %v %d", strings.ToLower(cv.Name), cv.GUID, cv.Age)
		if want := fmt.Sprintf("%s %s %d", strings.ToLower(m.PDB.Name), strings.ToUpper(strings.ReplaceAll(m.PDB.GUID, "-", "")), m.PDB.Age); got != want {
			t.Errorf("%s: %s, want %s", m.Name, got, want)
		}
		read++
	}
	for i, m := range lab.Modules {
		check(kernel, m, false)
		if i > 0 {
			continue
		}
		base, _ := strconv.ParseUint(m.Base, 0, 64)
		im, err := pe.FromMemory(kernel, base)
		if err != nil {
			t.Fatal(err)
		}
		exports, err := im.Exports()
		if err != nil || len(exports.Exports) != lab.System.Exports {
			t.Errorf("%d exports, want %d (%v)", len(exports.Exports), lab.System.Exports, err)
		}
		if e, ok := exports.Lookup("KeBugCheckEx"); !ok || fmt.Sprintf("%#x", base+uint64(e.RVA)) != lab.System.Processors[0].RIP {
			t.Errorf("KeBugCheckEx: %+v", e)
		} else if near, ok := exports.Nearest(e.RVA + 1); !ok || near != e {
			t.Errorf("nearest to KeBugCheckEx+1: %+v", near)
		}
	}
	for _, p := range lab.Processes {
		dtb, err := strconv.ParseUint(p.Dirbase, 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		space := memory.NewAddressSpace(f, tr, amd64.CleanDTB(dtb), kernel)
		for _, m := range p.Modules {
			check(space, m, true)
		}
	}
	t.Logf("%d modules as in the truth, %d with missing pages", read, missing)
	if read < 100 {
		t.Errorf("only %d modules", read)
	}
}
