package amd64

import (
	"encoding/binary"
	"fmt"
)

// A RuntimeFunction is an entry of an image's function table (.pdata). All
// values are RVAs.
type RuntimeFunction struct {
	Begin, End uint32
	UnwindData uint32 // of the UNWIND_INFO; bit 0 set: of another RuntimeFunction
}

const runtimeFunctionSize = 12

func decodeRuntimeFunction(b []byte) RuntimeFunction {
	le := binary.LittleEndian
	return RuntimeFunction{le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:])}
}

// An UnwindOp is the operation of an unwind code.
type UnwindOp uint8

// The unwind operations. Version 1 of the unwind data used 6 and 7 for saves of
// the lower half of an XMM register; no known compiler writes them.
const (
	OpPushNonvol UnwindOp = iota
	OpAllocLarge
	OpAllocSmall
	OpSetFPReg
	OpSaveNonvol
	OpSaveNonvolFar
	OpEpilog
	OpSpare
	OpSaveXMM128
	OpSaveXMM128Far
	OpPushMachFrame
)

var opNames = [...]string{
	"UWOP_PUSH_NONVOL", "UWOP_ALLOC_LARGE", "UWOP_ALLOC_SMALL", "UWOP_SET_FPREG", "UWOP_SAVE_NONVOL",
	"UWOP_SAVE_NONVOL_FAR", "UWOP_EPILOG", "UWOP_SPARE_CODE", "UWOP_SAVE_XMM128", "UWOP_SAVE_XMM128_FAR", "UWOP_PUSH_MACHFRAME",
}

func (op UnwindOp) String() string {
	if int(op) < len(opNames) {
		return opNames[op]
	}
	return fmt.Sprintf("UWOP %d", uint8(op))
}

// An UnwindCode is one decoded operation of a prolog.
type UnwindCode struct {
	PrologOffset uint8 // of the end of the instruction that did it; OpEpilog: as stored
	Op           UnwindOp
	Info         uint8  // the 4 bits beside the operation: a register, a flag
	Value        uint32 // bytes allocated, or offset in the frame that a register was saved at
	Slots        uint8  // 16-bit slots it takes
}

// Flags of an UNWIND_INFO.
const (
	UnwindExceptionHandler   = 1
	UnwindTerminationHandler = 2
	UnwindChained            = 4
)

// An Epilog is an epilog that version 2 of the unwind data describes, by RVA.
type Epilog struct{ Begin, End uint32 }

// An UnwindInfo is a decoded UNWIND_INFO structure.
type UnwindInfo struct {
	RVA           uint32
	Version       uint8
	Flags         uint8
	PrologSize    uint8
	CountOfCodes  uint8
	FrameRegister uint8 // 0: none
	FrameOffset   uint32

	Codes []UnwindCode

	EpilogSize uint8 // version 2: of each epilog
	// EpilogAtEnd and EpilogOffsets say where the epilogs of version 2 are: the
	// distance of their first byte from the function's end.
	EpilogAtEnd   bool
	EpilogOffsets []uint32

	Chained RuntimeFunction // when Flags has UnwindChained
	Handler uint32          // RVA of the exception handler, when Flags has one
	// HandlerData is the RVA of what the handler's language keeps behind it.
	HandlerData uint32
}

// Epilogs returns the epilogs of a function that uses this version 2 data.
func (u *UnwindInfo) Epilogs(f RuntimeFunction) []Epilog {
	var out []Epilog
	add := func(off uint32) {
		if off <= f.End-f.Begin {
			out = append(out, Epilog{f.End - off, f.End - off + uint32(u.EpilogSize)})
		}
	}
	if u.EpilogAtEnd {
		add(uint32(u.EpilogSize))
	}
	for _, off := range u.EpilogOffsets {
		add(off)
	}
	return out
}

// unwindInfoMax is the size of the largest UNWIND_INFO: header, 255 slots and one
// of padding, a chained entry.
const unwindInfoMax = 4 + 256*2 + runtimeFunctionSize

// An UnwindFormatError says what is wrong with an image's unwind data.
type UnwindFormatError struct {
	RVA uint32
	Msg string
}

func (e *UnwindFormatError) Error() string {
	return fmt.Sprintf("unwind data at RVA %#x: %s", e.RVA, e.Msg)
}

// ParseUnwindInfo decodes the UNWIND_INFO at the start of b, whose RVA is given
// for errors and handler data.
func ParseUnwindInfo(rva uint32, b []byte) (*UnwindInfo, error) {
	fail := func(format string, args ...any) (*UnwindInfo, error) {
		return nil, &UnwindFormatError{rva, fmt.Sprintf(format, args...)}
	}
	if len(b) < 4 {
		return fail("need 4 bytes, have %d", len(b))
	}
	u := &UnwindInfo{
		RVA:     rva,
		Version: b[0] & 7, Flags: b[0] >> 3,
		PrologSize: b[1], CountOfCodes: b[2],
		FrameRegister: b[3] & 15, FrameOffset: uint32(b[3]>>4) * 16,
	}
	if u.Version != 1 && u.Version != 2 {
		return fail("version %d", u.Version)
	}
	n := int(u.CountOfCodes)
	if len(b) < 4+2*n {
		return fail("%d slots need %d bytes, have %d", n, 4+2*n, len(b))
	}
	slots := b[4 : 4+2*n]
	if err := u.parseCodes(slots); err != nil {
		return nil, err
	}
	at := 4 + (n+1)&^1*2
	switch tail := b[min(at, len(b)):]; {
	case u.Flags&UnwindChained != 0:
		if len(tail) < runtimeFunctionSize {
			return fail("chained entry cut off")
		}
		u.Chained = decodeRuntimeFunction(tail)
	case u.Flags&(UnwindExceptionHandler|UnwindTerminationHandler) != 0:
		if len(tail) < 4 {
			return fail("handler cut off")
		}
		u.Handler = binary.LittleEndian.Uint32(tail)
		u.HandlerData = rva + uint32(at) + 4
	}
	return u, nil
}

// parseCodes decodes the slots. What it cannot decode makes the rest worthless,
// as the size of an unknown operation is not known.
func (u *UnwindInfo) parseCodes(slots []byte) error {
	seenEpilog := false
	for i := 0; i < len(slots); {
		c := UnwindCode{PrologOffset: slots[i], Op: UnwindOp(slots[i+1] & 15), Info: slots[i+1] >> 4, Slots: 1}
		left := (len(slots) - i) / 2
		operand := func(n uint8, scale uint32) {
			c.Slots = 1 + n
			switch {
			case left < int(c.Slots):
			case n == 1:
				c.Value = uint32(binary.LittleEndian.Uint16(slots[i+2:])) * scale
			default:
				c.Value = binary.LittleEndian.Uint32(slots[i+2:])
			}
		}
		bad := ""
		switch c.Op {
		case OpPushNonvol, OpSetFPReg:
		case OpAllocSmall:
			c.Value = uint32(c.Info)*8 + 8
		case OpAllocLarge:
			switch c.Info {
			case 0:
				operand(1, 8)
			case 1:
				operand(2, 1)
			default:
				bad = fmt.Sprintf("large allocation of form %d", c.Info)
			}
		case OpSaveNonvol:
			operand(1, 8)
		case OpSaveNonvolFar, OpSpare, OpSaveXMM128Far:
			operand(2, 1)
		case OpSaveXMM128:
			operand(1, 16)
		case OpEpilog:
			if u.Version == 1 {
				operand(1, 8) // a save of half an XMM register, once
				break
			}
			u.addEpilog(c, !seenEpilog)
			seenEpilog = true
		case OpPushMachFrame:
			if c.Info > 1 {
				bad = fmt.Sprintf("machine frame of form %d", c.Info)
			}
		default:
			bad = fmt.Sprintf("operation %d", uint8(c.Op))
		}
		if bad == "" && left < int(c.Slots) {
			bad = fmt.Sprintf("%v needs %d slots, %d are left", c.Op, c.Slots, left)
		}
		if bad != "" {
			return &UnwindFormatError{u.RVA, fmt.Sprintf("slot %d: %s", i/2, bad)}
		}
		u.Codes = append(u.Codes, c)
		i += 2 * int(c.Slots)
	}
	return nil
}

// addEpilog notes an epilog code of version 2. The first one has the size of all
// epilogs and whether one ends the function; the others have offsets, of which 0
// is padding.
func (u *UnwindInfo) addEpilog(c UnwindCode, first bool) {
	if first {
		u.EpilogSize = c.PrologOffset
		u.EpilogAtEnd = c.Info&1 != 0
	} else if off := uint32(c.PrologOffset) | uint32(c.Info)<<8; off != 0 {
		u.EpilogOffsets = append(u.EpilogOffsets, off)
	}
}
