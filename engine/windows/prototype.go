package windows

import (
	"sync"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// prototypes finds the prototype PTEs of a process's mapped ranges: where the
// page table leaves a page to the VAD, or has no entry for it yet. Debuggers
// show such pages as unreadable; their contents are in memory all the same.
type prototypes struct {
	proc         Process
	once         sync.Once
	root         uint64
	mmvad, short *types.Type
}

// resolver returns the function that an address space asks for the prototype
// PTE of an address. It reads the kernel's address space only.
func (p Process) resolver() func(va uint64) (pte uint64, ok bool) {
	r := &prototypes{proc: p}
	return r.find
}

func (r *prototypes) load() {
	r.mmvad, _ = r.proc.sys.Type("_MMVAD")
	r.short, _ = r.proc.sys.Type("_MMVAD_SHORT")
	r.root, _ = r.proc.obj.FirstField("VadRoot.Root", "VadRoot.BalancedRoot.RightChild").Uint()
}

// find descends the tree of VADs to the range that holds va.
func (r *prototypes) find(va uint64) (uint64, bool) {
	r.once.Do(r.load)
	if r.mmvad == nil || r.short == nil || va >= userEnd {
		return 0, false
	}
	addr := r.root &^ 7
	for range maxVadDepth {
		if addr == 0 {
			return 0, false
		}
		obj := types.NewObject(r.proc.sys.kernel, r.short, addr)
		v, err := newVAD(r.proc, obj, 0)
		if err != nil {
			return 0, false
		}
		var link types.Object
		switch {
		case va < v.Start:
			link = obj.FirstField("VadNode.Left", "VadNode.LeftChild")
		case va > v.End:
			link = obj.FirstField("VadNode.Right", "VadNode.RightChild")
		default:
			return v.prototype(r.mmvad, va)
		}
		if addr, err = link.Uint(); err != nil {
			return 0, false
		}
		addr &^= 7
	}
	return 0, false
}

// pteSize is the size of a prototype PTE.
const pteSize = 8

// prototype returns the address of the prototype PTE of a page of the range.
// The range's PTEs lie in one array as far as LastContiguousPte; those of
// further subsections are not looked for.
func (v VAD) prototype(mmvad *types.Type, va uint64) (uint64, bool) {
	if private, err := v.obj.Field("u.VadFlags.PrivateMemory").Uint(); err != nil || private != 0 {
		return 0, false
	}
	o := types.NewObject(v.proc.sys.kernel, mmvad, v.Addr())
	first, err := o.Field("FirstPrototypePte").Uint()
	if err != nil || first == 0 {
		return 0, false
	}
	last, err := o.Field("LastContiguousPte").Uint()
	if err != nil {
		return 0, false
	}
	pte := first + (va-v.Start)>>memory.PageShift*pteSize
	return pte, pte <= last
}
