package amd64_test

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"testing"

	"kdap/engine/arch/amd64"
	"kdap/engine/dump"
	"kdap/engine/memory"
	"kdap/internal/truth"
)

// hexInt is a number that the truth file has as a hex string.
type hexInt uint64

func (h *hexInt) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseUint(strings.Trim(string(b), `"`), 0, 64)
	*h = hexInt(v)
	return err
}

// labTruth is the part of lab19041.json that translation can be checked with.
type labTruth struct {
	System struct {
		DTB                                 hexInt
		PteBase                             hexInt
		KernelBase                          hexInt
		LoadedModuleList, ActiveProcessHead hexInt
	}
	Processes []struct {
		Name            string
		PID             int
		Eprocess        hexInt
		CR3             hexInt
		Peb             hexInt
		Dirbase         hexInt
		ImagePath       string
		VADs            []struct{ Start, End hexInt }
		ProcessParams   hexInt `json:"processParameters"`
		EnvironmentAddr hexInt `json:"environment"`
	}
	Holes []struct {
		Process int
		VA      hexInt
		State   string
		Offset  uint64
		PA      hexInt
	}
	MappedFiles []struct {
		Process int
		Pages   []struct {
			VA           hexInt
			State        string
			PrototypePte hexInt
			Text         *string
		}
	}
	PFN struct {
		Samples []struct {
			PFN, PTE, Containing hexInt
			State, Kind          string
		}
	}
}

func openLab(t testing.TB, name string) *dump.File {
	t.Helper()
	f, err := dump.Open(t.Context(), truth.Dump(t, name), dump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func readTruth(t testing.TB) *labTruth {
	t.Helper()
	v := new(labTruth)
	truth.JSON(t, v, "dumps", "lab19041.json")
	return v
}

// spaces returns the kernel's address space and a function for a process's.
func spaces(f *dump.File, lab *labTruth) (*memory.AddressSpace, func(pid int) *memory.AddressSpace) {
	tr := amd64.NewPaging(amd64.PagingOptions{})
	kernel := memory.NewAddressSpace(f, tr, amd64.CleanDTB(f.Header.DirectoryTableBase), nil)
	return kernel, func(pid int) *memory.AddressSpace {
		for _, p := range lab.Processes {
			if p.PID == pid {
				return memory.NewAddressSpace(f, tr, amd64.CleanDTB(uint64(p.Dirbase)), kernel)
			}
		}
		return nil
	}
}

func TestLabKernel(t *testing.T) {
	lab := readTruth(t)
	for _, name := range []string{"lab19041", "lab19041_t5", "lab19041_t6", "lab_k", "lab_ka", "lab_f"} {
		f := openLab(t, name)
		kernel, process := spaces(f, lab)
		if kernel.DTB() != uint64(lab.System.DTB) {
			t.Fatalf("%s: DTB %#x", name, kernel.DTB())
		}
		var mz [2]byte
		if _, err := kernel.Read(uint64(lab.System.KernelBase), mz[:]); err != nil || string(mz[:]) != "MZ" {
			t.Errorf("%s: kernel base: %q, %v", name, mz, err)
		}
		for _, p := range lab.Processes {
			// Every process's tables map the kernel.
			var a, b [0x40]byte
			if _, err := kernel.Read(uint64(p.Eprocess), a[:]); err != nil {
				t.Errorf("%s: _EPROCESS of %s: %v", name, p.Name, err)
			}
			if _, err := process(p.PID).Read(uint64(p.Eprocess), b[:]); err != nil || a != b {
				t.Errorf("%s: _EPROCESS of %s through its own tables: %v", name, p.Name, err)
			}
			if got := binary.LittleEndian.Uint64(a[0x28:]); amd64.CleanDTB(got) != uint64(p.CR3) {
				t.Errorf("%s: %s: DirectoryTableBase %#x, want %#x", name, p.Name, got, p.CR3)
			}
		}
	}
}

func TestLabHoles(t *testing.T) {
	lab := readTruth(t)
	want := map[string]memory.Kind{"pagefile": memory.PageFile, "demand_zero": memory.DemandZero, "absent": memory.NotInDump}
	for _, name := range []string{"lab19041", "lab19041_t5", "lab19041_t6"} {
		f := openLab(t, name)
		_, process := spaces(f, lab)
		for _, h := range lab.Holes {
			a := process(h.Process)
			var b [1]byte
			_, err := a.Read(uint64(h.VA), b[:])
			var re *memory.ReadError
			errors.As(err, &re)
			switch {
			case h.State == "transition":
				tr, terr := a.Translate(uint64(h.VA))
				if err != nil || terr != nil || tr.State != memory.InTransition {
					t.Errorf("%s: %#x: %v, %v, state %v; want a page in transition", name, h.VA, err, terr, tr.State)
				}
			case h.State == "absent" && name == "lab19041":
				if err != nil {
					t.Errorf("%#x is in the full dump, but: %v", h.VA, err)
				}
			case name == "lab19041_t6" && (re != nil && re.Kind == memory.NotInDump || re != nil && re.Kind == memory.Transition):
				// user pages are not in it at all
			case re == nil || re.Kind != want[h.State]:
				t.Errorf("%s: %#x: %v, want %s", name, h.VA, err, h.State)
			case re.Kind == memory.PageFile && re.PageFileOffset != h.Offset:
				t.Errorf("%#x: page file offset %d, want %d", h.VA, re.PageFileOffset, h.Offset)
			case h.State == "absent" && (f.Missing(re.PFN) != dump.LeftOut || re.PFN != uint64(h.PA)>>12):
				t.Errorf("%#x: %v, absence %v; want %#x left out", h.VA, err, f.Missing(re.PFN), h.PA)
			}
		}
	}
}

func TestLabMappedFiles(t *testing.T) {
	lab := readTruth(t)
	f := openLab(t, "lab19041")
	_, process := spaces(f, lab)
	for _, m := range lab.MappedFiles {
		protos := map[uint64]uint64{}
		for _, p := range m.Pages {
			protos[uint64(p.VA)] = uint64(p.PrototypePte)
		}
		plain := process(m.Process)
		a := plain.WithResolver(func(va uint64) (uint64, bool) {
			pte, ok := protos[va&^0xfff]
			return pte, ok
		}, nil)
		for _, p := range m.Pages {
			va := uint64(p.VA)
			tr, err := a.Translate(va)
			if p.State == "prototype-disk" {
				var re *memory.ReadError
				if !errors.As(err, &re) || re.Kind != memory.InFile {
					t.Errorf("%#x %s: %v", va, p.State, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%#x %s: %v", va, p.State, err)
				continue
			}
			b := make([]byte, len(*p.Text))
			if _, err := a.Read(va, b); err != nil || string(b) != *p.Text {
				t.Errorf("%#x %s: %q, %v; want %q", va, p.State, b, err, *p.Text)
			}
			last := tr.Steps[len(tr.Steps)-1]
			switch byProto := strings.Contains(p.State, "prototype"); {
			case byProto != (tr.Flags&memory.ByPrototype != 0), byProto && last.Addr != uint64(p.PrototypePte):
				t.Errorf("%#x %s: steps %+v", va, p.State, tr.Steps)
			case strings.HasPrefix(p.State, "vad") != (tr.Flags&memory.ByVAD != 0):
				t.Errorf("%#x %s: flags %b", va, p.State, tr.Flags)
			}
			if strings.HasPrefix(p.State, "vad") {
				var re *memory.ReadError
				if _, err := plain.Translate(va); !errors.As(err, &re) {
					t.Errorf("%#x %s without a resolver: no error", va, p.State)
				}
			}
		}
	}
}

// TestLabSelfMap reads leaf entries through the self-map and physically.
func TestLabSelfMap(t *testing.T) {
	lab := readTruth(t)
	f := openLab(t, "lab19041")
	kernel, _ := spaces(f, lab)
	checked := 0
	for _, s := range lab.PFN.Samples {
		if s.PTE == 0 {
			continue
		}
		entry, err := memory.ReadUint(kernel, uint64(s.PTE), 8)
		if err != nil {
			continue // the table belongs to a process
		}
		if s.Kind != "large" && entry>>12&0xfffffffff != uint64(s.PFN) {
			continue
		}
		page, ok := f.Page(uint64(s.Containing))
		if !ok {
			t.Errorf("page %#x that holds a PTE is missing", s.Containing)
			continue
		}
		if got := binary.LittleEndian.Uint64(page[s.PTE&0xfff:]); got != entry {
			t.Errorf("PTE %#x: %#x through the self-map, %#x in page %#x", s.PTE, entry, got, s.Containing)
		}
		checked++
	}
	t.Logf("%d entries", checked)
	if checked == 0 {
		t.Error("no entry could be checked")
	}
}

// TestLabPEBs reads every PEB and process parameters through user mappings.
func TestLabPEBs(t *testing.T) {
	lab := readTruth(t)
	f := openLab(t, "lab19041")
	_, process := spaces(f, lab)
	good, want := 0, 0
	for _, p := range lab.Processes {
		if p.ProcessParams == 0 {
			continue
		}
		want++
		a := process(p.PID)
		params, err := memory.ReadUint(a, uint64(p.Peb)+0x20, 8)
		if err != nil {
			continue
		}
		if params != uint64(p.ProcessParams) {
			t.Errorf("%s: parameters at %#x, want %#x", p.Name, params, p.ProcessParams)
		}
		good++
	}
	if good < want-1 { // one is paged out on purpose
		t.Errorf("%d of %d PEBs could be read", good, want)
	}
}

// TestLabMapped: every page of every table is found, and only inside VADs.
func TestLabMapped(t *testing.T) {
	lab := readTruth(t)
	f := openLab(t, "lab19041")
	kernel, process := spaces(f, lab)
	pages := 0
	for _, p := range lab.Processes {
		if p.Peb == 0 {
			continue
		}
		for tr, err := range process(p.PID).Mapped(t.Context(), 0, 1<<63-1) {
			if err != nil {
				t.Fatal(err)
			}
			pages++
			inside := false
			for i := range p.VADs { // thousands of pages: stop at the first
				if v := &p.VADs[i]; tr.VA >= uint64(v.Start) && tr.VA <= uint64(v.End) {
					inside = true
					break
				}
			}
			if !inside {
				t.Errorf("%s: page %#x lies in no VAD", p.Name, tr.VA)
			}
		}
	}
	n := 0
	for tr := range kernel.Mapped(t.Context(), 1<<63, ^uint64(0)) {
		if tr.VA>>47 != 0x1ffff {
			t.Fatalf("kernel page %#x", tr.VA)
		}
		n++
	}
	t.Logf("%d user pages, %d kernel mappings", pages, n)
	if pages < 1000 || n < 1000 {
		t.Errorf("%d user pages, %d kernel mappings", pages, n)
	}
}
