package memory

import "fmt"

// A Kind says why an address could not be read.
type Kind uint8

// The kinds of failure, from the most to the least the reader can do about it.
const (
	NotInDump      Kind = iota + 1 // translated, but the dump does not hold the page
	PageFile                       // the contents were written to a page file
	DemandZero                     // never touched: the system would supply zeros
	Transition                     // in transition, and its page is not in the dump
	Prototype                      // shared page whose prototype PTE cannot be followed
	NotValid                       // no mapping: the entry is zero or a table above it is missing
	NonCanonical                   // not a canonical address
	NoAddressSpace                 // the dump has no page tables, and no block holds the address
	InFile                         // belongs to a mapped file and was not read from it
)

var kindText = [...]string{
	NotInDump:      "page not in the dump",
	PageFile:       "paged out",
	DemandZero:     "demand zero, never touched",
	Transition:     "in transition, page not in the dump",
	Prototype:      "prototype PTE cannot be followed",
	NotValid:       "not mapped",
	NonCanonical:   "not a canonical address",
	NoAddressSpace: "not saved in this dump",
	InFile:         "not read from its file, which is on disk",
}

func (k Kind) String() string {
	if int(k) < len(kindText) && kindText[k] != "" {
		return kindText[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// A ReadError tells which byte could not be read and why.
type ReadError struct {
	Addr  uint64 // first unreadable byte; a physical address when Physical is set
	DTB   uint64 // page-table root of the space, 0 when it has none
	Kind  Kind
	Level string // entry that stopped translation: "PML5E", "PML4E", "PDPTE", "PDE", "PTE", "prototype PTE"; "" when none did
	Entry uint64 // its value

	PageFile       uint8  // Kind PageFile: number of the page file
	PageFileOffset uint64 // Kind PageFile: offset in it, in pages
	PFN            uint64 // Kinds NotInDump and Transition: frame that is missing
	Physical       bool   // Addr is a physical address

	// Span is the size of the aligned region around Addr that is unreadable
	// for this reason, or 0: whoever searches memory can go on behind it.
	Span uint64
}

func (e *ReadError) Error() string {
	what := "address"
	if e.Physical {
		what = "physical address"
	}
	s := fmt.Sprintf("%s %#x: %v", what, e.Addr, e.Kind)
	switch e.Kind {
	case PageFile:
		s += fmt.Sprintf(" to page file %d, offset %#x", e.PageFile, e.PageFileOffset)
	case NotInDump, Transition:
		s += fmt.Sprintf(" (PFN %#x)", e.PFN)
	}
	if e.Level != "" && e.Kind != NotInDump {
		s += fmt.Sprintf(" (%s %#x)", e.Level, e.Entry)
	}
	return s
}
