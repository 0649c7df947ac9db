package memory

import "fmt"

// Tables are the page tables of one address space.
type Tables struct {
	Phys   Physical
	DTB    uint64 // physical address of the root table
	Kernel Space  // where prototype PTEs are read, or nil
	// Resolve finds the prototype PTE of an address whose own entry leaves it
	// to the VAD: it returns the PTE's address in Kernel. It may be nil.
	Resolve func(va uint64) (pte uint64, ok bool)
	// Gap returns the first and the last address around one that Resolve knows
	// nothing of, of which it knows nothing either. Nil when only that one is sure.
	Gap func(va uint64) (first, last uint64)
}

// A Translator knows the page tables of one processor. It keeps no state.
type Translator interface {
	// Translate fills t for va. Steps are recorded when trace is set. An
	// address that leads to no page of memory gives a *ReadError; t then
	// describes the way up to it. Whether the dump holds the page is not
	// looked at.
	Translate(m *Tables, va uint64, t *Translation, trace bool) error
}

// A State is what the last entry of a translation says about its page.
type State uint8

// The states in which a page can be read.
const (
	Valid        State = iota + 1 // mapped
	InTransition                  // unmapped, but still in its page of memory
)

// Flags are the rights and history of a page, over all levels of its tables.
type Flags uint16

// The flags. Accessed, Dirty, Global and the cache flags are the last entry's.
const (
	Writable Flags = 1 << iota
	User
	Executable
	Accessed
	Dirty
	Global
	WriteThrough
	CacheDisabled
	CopyOnWrite
	Large         // 2 MB or 1 GB page
	ByPrototype   // the page was found through a prototype PTE
	ByVAD         // and that through a VAD
	TransitionTop // a page table above was itself in transition
)

// A Step is one entry that a translation read.
type Step struct {
	Level    string // as ReadError.Level
	Addr     uint64 // physical address of the entry; virtual when Virtual is set
	Value    uint64 // as memory holds it
	Unmasked uint64 // after undoing the L1TF mask; else the same as Value
	Virtual  bool   // a prototype PTE, read in the kernel's address space
}

// A Translation says how a virtual address becomes a physical one.
type Translation struct {
	VA, PA   uint64
	PageSize uint64 // of the mapping: 4 KB, 2 MB or 1 GB
	State    State
	Flags    Flags
	Entry    uint64 // the last entry read, unmasked
	Steps    []Step // from the root down
}

// PFN returns the frame number of the 4 KB page at PA.
func (t *Translation) PFN() uint64 { return t.PA >> PageShift }

// Protection returns the rights in the form "uwx", a dash for each one absent.
func (f Flags) Protection() string {
	s := []byte("---")
	for i, bit := range []Flags{User, Writable, Executable} {
		if f&bit != 0 {
			s[i] = "uwx"[i]
		}
	}
	return string(s)
}

func (s State) String() string {
	switch s {
	case Valid:
		return "valid"
	case InTransition:
		return "transition"
	}
	return fmt.Sprintf("state %d", uint8(s))
}
