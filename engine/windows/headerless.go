package windows

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"

	"kdap/engine/memory"
	"kdap/engine/pe"
	"kdap/engine/symbols"
)

// A dump with holes may lack the first page of the kernel's image, and with it
// what tells its symbols. The list of modules has size and time stamp, by which
// the image file is found; the record that names the PDB lies in another page.

// headerlessKernel takes from the list of modules what the header would tell.
func (s *System) headerlessKernel(why error) {
	s.problems = append(s.problems, fmt.Errorf("the kernel's header cannot be read: %w", why))
	entry, err := memory.ReadUint(s.kernel, s.dump.Header.PsLoadedModuleList, 8)
	if err != nil {
		return
	}
	if base, err := memory.ReadUint(s.kernel, entry+kldr64.base, 8); err != nil || base != s.nt.Base {
		return
	}
	stamp, err := memory.ReadUint(s.kernel, entry+kldr64.stamp, 4)
	if err != nil {
		return
	}
	sum, _ := memory.ReadUint(s.kernel, entry+kldr64.checkSum, 4)
	s.nt.TimeDateStamp, s.nt.CheckSum, s.nt.HasTimeDateStamp = uint32(stamp), uint32(sum), true
}

// scanKernelCodeView looks for the record that names the kernel's PDB in the
// pages of its image. Others may lie there, too, of images it carries along: it
// is the one with a kernel's name.
func (s *System) scanKernelCodeView() (pe.CodeView, bool) {
	base, size := s.nt.Base, s.nt.Size
	if size == 0 || size > maxKernelSize {
		size = maxKernelSize
	}
	scan, _ := s.codeViewScans.LoadOrStore(base, sync.OnceValues(func() (pe.CodeView, bool) {
		var b codeViewPage
		for at := base; at < base+size; at += memory.PageSize {
			if cv, ok := s.kernelCodeViewIn(at, &b); ok {
				return cv, true
			}
		}
		return pe.CodeView{}, false
	}))
	return scan.(func() (pe.CodeView, bool))()
}

// A codeViewPage is a page and what may follow of a record that begins in it.
type codeViewPage [memory.PageSize + maxKernelCodeView]byte

// maxKernelCodeView is the size of the record: names of kernels' PDBs are short.
const maxKernelCodeView = 24 + 64

// kernelCodeViewIn looks for the record in the page at an address; b is what it
// is read into.
func (s *System) kernelCodeViewIn(at uint64, b *codeViewPage) (pe.CodeView, bool) {
	n, _ := s.kernel.Read(at, b[:])
	for off := 0; off < min(n, memory.PageSize); off++ {
		i := bytes.Index(b[off:n], []byte("RSDS"))
		if i < 0 {
			break
		}
		off += i
		cv, err := pe.ParseCodeView(b[off:min(n, off+maxKernelCodeView)])
		if err == nil && isKernelPDB(cv.Name) {
			return cv, true
		}
	}
	return pe.CodeView{}, false
}

// baseBySymbols finds the kernel when neither its header nor a list that says
// where it lies is in the dump: the dump's header has the addresses of two of
// its variables, and the PDB that a page of it names knows how far they are
// from its beginning.
func (s *System) baseBySymbols(ctx context.Context) (base uint64, ok bool) {
	list, processes := s.dump.Header.PsLoadedModuleList, s.dump.Header.PsActiveProcessHead
	if list < kernelHalf || processes < kernelHalf {
		return 0, false
	}
	var b codeViewPage
	for at := list &^ (memory.PageSize - 1); list-at < maxKernelSize && ctx.Err() == nil; at -= memory.PageSize {
		cv, ok := s.kernelCodeViewIn(at, &b)
		if !ok {
			continue
		}
		found, _, err := s.finder.Find(ctx, symbols.Want{PDB: cv.Name, GUID: cv.GUID, Age: cv.Age, Ext: "exe"})
		if err != nil {
			return 0, false
		}
		t := symbols.NewTable(found, nil, symbols.DefaultOptions)
		one, ok1 := t.Lookup("PsLoadedModuleList")
		other, ok2 := t.Lookup("PsActiveProcessHead")
		base := list - uint64(one.RVA)
		return base, ok1 && ok2 && base%memory.PageSize == 0 && base == processes-uint64(other.RVA)
	}
	return 0, false
}

func isKernelPDB(name string) bool {
	base := baseName(name)
	stem, pdb := strings.CutSuffix(strings.ToLower(base), ".pdb")
	if !pdb {
		return false
	}
	for _, k := range symbols.KernelNames() {
		if strings.TrimSuffix(strings.ToLower(k), ".exe") == stem {
			return true
		}
	}
	return false
}
