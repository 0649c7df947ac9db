package pdb

import (
	"kdap/engine/types"
)

// Flags of S_LOCAL.
const (
	LocalParam       = 0x0001
	LocalAddrTaken   = 0x0002
	LocalCompiler    = 0x0004 // made by the compiler
	LocalAggregate   = 0x0008 // split into several variables
	LocalAliased     = 0x0020
	LocalAlias       = 0x0040
	LocalReturn      = 0x0080 // holds the return value
	LocalOptimized   = 0x0100 // optimised out
	LocalGlobal      = 0x0200 // a global in a register
	LocalStatic      = 0x0400 // a static in a register
	localParamByRule = 0x10000
)

// A LocKind is the sort of place where a variable lies.
type LocKind uint8

// The kinds of places.
const (
	LocRegister LocKind = iota // in a register
	LocRegRel                  // in memory at register + offset
	LocStatic                  // at RVA
	LocConst                   // nowhere: Local.Value
	LocThread                  // in the thread's static data
)

// A Range is a piece of code, relative to the image's base.
type Range struct{ RVA, Size uint32 }

// Contains reports whether an address lies in the range.
func (r Range) Contains(rva uint32) bool { return rva-r.RVA < r.Size }

// A Location is where a variable, or a part of it, lies in some range of code.
type Location struct {
	Kind       LocKind
	Reg        uint16 // CodeView register number; RegName names it
	Offset     int32  // LocRegRel
	RVA        uint32 // LocStatic
	Everywhere bool   // in the whole scope; Range and Gaps do not count then
	Range      Range
	Gaps       []Range // parts of Range where it is not there
	Part       bool    // only the part of the variable at PartOff is there
	PartOff    uint32

	viaFrame bool // Reg is the frame's, the record does not name it
}

// Covers reports whether the location holds at an address.
func (l *Location) Covers(rva uint32) bool {
	if l.Everywhere {
		return true
	}
	if !l.Range.Contains(rva) {
		return false
	}
	for _, g := range l.Gaps {
		if g.Contains(rva) {
			return false
		}
	}
	return true
}

// A Local is a variable, parameter, static or constant of a scope.
type Local struct {
	Name      string
	Kind      uint16 // record: SLocal, SRegRel32, SBPRel32, SRegister, SLData32, SConstant …
	TI        uint32
	Flags     uint32
	Value     uint64 // SConstant
	Locations []Location

	// Duplicate marks the second record of a variable: compilers write an
	// S_REGREL32 for old debuggers beside the S_LOCAL that knows more.
	Duplicate bool

	f *File
}

// Type returns the variable's type.
func (l *Local) Type() *types.Type { return l.f.ResolvedType(l.TI) }

// IsParam reports whether the variable is a parameter.
func (l *Local) IsParam() bool { return l.Flags&(LocalParam|localParamByRule) != 0 }

// At returns where the variable lies at an address; several places hold its
// parts. None means that its value is not available there.
func (l *Local) At(rva uint32) []Location {
	var out []Location
	for _, loc := range l.Locations {
		if loc.Covers(rva) {
			if !loc.Part {
				return []Location{loc}
			}
			out = append(out, loc)
		}
	}
	return out
}

// A Scope is a procedure's body, a block in it, or an inlined function.
type Scope struct {
	Name   string  // of blocks mostly ""
	Range  Range   // of procedures and blocks
	More   []Range // further pieces of code that does not lie in one
	Inline *Inline // of an inlined function
	Locals []Local
	Inner  []*Scope
}

// Covers reports whether the scope's code includes an address.
func (s *Scope) Covers(rva uint32) bool {
	if s.Inline != nil {
		return s.Inline.Covers(rva)
	}
	return s.Range.Contains(rva) || covers(s.More, rva)
}

// place sets where the scope's code lies.
func (s *Scope) place(pieces []Range) {
	if len(pieces) > 0 {
		s.Range, s.More = pieces[0], pieces[1:]
	}
}

// Path returns the scopes that cover an address, from s inward.
func (s *Scope) Path(rva uint32) []*Scope {
	var path []*Scope
	for s != nil && s.Covers(rva) {
		path = append(path, s)
		var in *Scope
		for _, c := range s.Inner {
			if c.Covers(rva) {
				in = c
				break
			}
		}
		s = in
	}
	return path
}

// A Frame is what a procedure's frame record says.
type Frame struct {
	Size       uint32 // bytes of locals
	Pad        uint32
	PadOff     uint32
	SavedRegs  uint32
	HandlerOff uint32
	HandlerSeg uint16
	Flags      uint32
	LocalReg   uint16 // register that variables are relative to; 0 for none
	ParamReg   uint16 // register that parameters are relative to
}

// A Body is a procedure's inside.
type Body struct {
	Scope
	Frame    Frame
	HasFrame bool
}
