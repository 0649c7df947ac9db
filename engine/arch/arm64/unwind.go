package arm64

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"kdap/engine/memory"
)

// Functions is the function table of an image (.pdata): where functions begin
// and how their frames are undone.
//
// Source: "ARM64 exception handling" of Microsoft's documentation: function
// records, packed unwind data and .xdata records with their codes.
type Functions struct {
	Base uint64
	// Read reads the image at an RVA; fewer bytes where it ends or is missing.
	Read func(rva uint32, p []byte) int
	// Pdata is the content of the exception directory.
	Pdata []byte
}

// pdataEntry is the size of a function record.
const pdataEntry = 8

// find returns the record of the function that holds rva: its start and its
// unwind word.
func (t *Functions) find(rva uint32) (start, word uint32, ok bool) {
	n := len(t.Pdata) / pdataEntry
	le := binary.LittleEndian
	i := sort.Search(n, func(i int) bool { return le.Uint32(t.Pdata[i*pdataEntry:]) > rva }) - 1
	if i < 0 {
		return 0, 0, false
	}
	return le.Uint32(t.Pdata[i*pdataEntry:]), le.Uint32(t.Pdata[i*pdataEntry+4:]), true
}

// Step undoes the frame of the function at c.PC: c becomes its caller's. call
// tells that the PC is a return address, which may lie behind the last
// instruction of its function. Without a record of the function its caller is
// taken to be in lr, and told is false.
func Step(c *Context, space memory.Space, t *Functions, call bool) (told bool, err error) {
	if t != nil {
		at := c.PC
		if call {
			at -= instruction
		}
		if start, word, ok := t.find(uint32(at - t.Base)); ok {
			offset := uint32(at-t.Base) - start
			codes, err := t.frame(start, word, offset, call)
			if err != nil {
				return true, err
			}
			if codes != nil {
				return true, undo(c, space, codes)
			}
		}
	}
	c.PC = c.LR
	return false, nil
}

// instruction is the size of every instruction.
const instruction = 4

// An op is what an unwind code tells to undo.
type op struct {
	kind opKind
	reg  int    // first register
	pair int    // second one, -1 for none
	off  uint64 // where they lie from sp
	size uint64 // what is added to sp afterwards
}

type opKind uint8

const (
	opNop   opKind = iota
	opMove         // sp moves by size
	opInt          // general registers: 29 is fp, 30 lr
	opFloat        // d registers
	opSetFP        // sp is in fp, off below it
	opMachine
	opSigned // lr carries a signature in its upper bits
	opEnd
)

const (
	regFP = 29
	regLR = 30
)

var errCodes = errors.New("unwind codes of ARM64: they end in the middle")

// frame returns the codes to undo for the function that begins at start, offset
// bytes into it; nil when the address is behind the function's end.
func (t *Functions) frame(start, word, offset uint32, call bool) ([]op, error) {
	switch word & 3 {
	case 1, 2:
		if length := word >> 2 & 0x7ff * instruction; offset >= length {
			return nil, nil
		}
		return packed(word, offset), nil
	case 3:
		return nil, fmt.Errorf("function at RVA %#x: reserved form of unwind data", start)
	}
	return t.xdata(word, offset)
}

// xdata decodes the record at an RVA and returns the codes that count at offset.
func (t *Functions) xdata(rva, offset uint32) ([]op, error) {
	le := binary.LittleEndian
	var head [8]byte
	if n := t.Read(rva, head[:]); n < 4 {
		return nil, fmt.Errorf("unwind data at RVA %#x is not there", rva)
	}
	w := le.Uint32(head[:])
	length := w & 0x3ffff * instruction
	if offset >= length {
		return nil, nil
	}
	single := w>>21&1 != 0
	epilogs, words, at := w>>22&0x1f, w>>27, rva+4
	if epilogs == 0 && words == 0 {
		x := le.Uint32(head[4:])
		epilogs, words, at = x&0xffff, x>>16&0xff, rva+8
	}
	scopes := make([]byte, 0)
	if !single {
		scopes = make([]byte, 4*epilogs)
		if t.Read(at, scopes) < len(scopes) {
			return nil, fmt.Errorf("epilogs of unwind data at RVA %#x are not there", rva)
		}
		at += 4 * epilogs
	}
	b := make([]byte, 4*words)
	if t.Read(at, b) < len(b) {
		return nil, fmt.Errorf("codes of unwind data at RVA %#x are not there", rva)
	}
	prolog, err := decodeOps(b, 0)
	if err != nil {
		return nil, err
	}
	if done := int(offset / instruction); done < len(prolog) {
		return prolog[len(prolog)-done:], nil
	}
	inEpilog := func(from uint32, index int) ([]op, bool, error) {
		ops, err := decodeOps(b, index)
		if err != nil || offset < from {
			return nil, false, err
		}
		if done := int((offset - from) / instruction); done <= len(ops) {
			return ops[done:], true, nil
		}
		return nil, false, nil
	}
	if single {
		index := int(epilogs)
		ops, err := decodeOps(b, index)
		if err != nil {
			return nil, err
		}
		size := uint32(len(ops)+1) * instruction
		if from := length - min(length, size); offset >= from {
			ops, ok, err := inEpilog(from, index)
			if ok || err != nil {
				return ops, err
			}
		}
		return prolog, nil
	}
	for i := 0; i+4 <= len(scopes); i += 4 {
		s := le.Uint32(scopes[i:])
		ops, ok, err := inEpilog(s&0x3ffff*instruction, int(s>>22))
		if ok || err != nil {
			return ops, err
		}
	}
	return prolog, nil
}

// decodeOps decodes the codes from an index up to the end code.
func decodeOps(b []byte, index int) ([]op, error) {
	var ops []op
	for i := index; ; {
		if i >= len(b) {
			return nil, errCodes
		}
		n, o := decodeOp(b[i:])
		if n == 0 {
			return nil, errCodes
		}
		if o.kind == opEnd {
			return ops, nil
		}
		if o.kind == opInt && o.reg < 0 { // save_next: the pair behind the last one
			if len(ops) == 0 {
				return nil, errCodes
			}
			o = nextPair(b, i, n)
		}
		ops = append(ops, o)
		i += n
	}
}

// decodeOp decodes one code and returns how many bytes it has, 0 when it is cut.
func decodeOp(b []byte) (int, op) {
	c := b[0]
	wide := func() uint64 { return uint64(c)<<8 | uint64(b[1]) }
	if size := codeSize(c); len(b) < size {
		return 0, op{}
	}
	pre := func(kind opKind, reg, pair int, size uint64) op { return op{kind, reg, pair, 0, size} }
	at := func(kind opKind, reg, pair int, off uint64) op { return op{kind, reg, pair, off, 0} }
	switch {
	case c < 0x20:
		return 1, op{kind: opMove, size: uint64(c&0x1f) * 16}
	case c < 0x40:
		return 1, pre(opInt, 19, 20, uint64(c&0x1f)*8)
	case c < 0x80:
		return 1, at(opInt, regFP, regLR, uint64(c&0x3f)*8)
	case c < 0xc0:
		return 1, pre(opInt, regFP, regLR, uint64(c&0x3f+1)*8)
	case c < 0xc8:
		return 2, op{kind: opMove, size: wide() & 0x7ff * 16}
	case c < 0xd6:
		w := wide()
		reg, off := 19+int(w>>6&0xf), w&0x3f*8
		switch {
		case c < 0xcc:
			return 2, at(opInt, reg, reg+1, off)
		case c < 0xd0:
			return 2, pre(opInt, reg, reg+1, off+8)
		case c < 0xd4:
			return 2, at(opInt, reg, -1, off)
		}
		return 2, pre(opInt, 19+int(w>>5&0xf), -1, (w&0x1f+1)*8)
	case c < 0xd8:
		w := wide()
		return 2, at(opInt, 19+2*int(w>>6&7), regLR, w&0x3f*8)
	case c < 0xde:
		w := wide()
		reg, off := 8+int(w>>6&7), w&0x3f*8
		switch {
		case c < 0xda:
			return 2, at(opFloat, reg, reg+1, off)
		case c < 0xdc:
			return 2, pre(opFloat, reg, reg+1, off+8)
		}
		return 2, at(opFloat, reg, -1, off)
	case c == 0xde:
		w := wide()
		return 2, pre(opFloat, 8+int(w>>5&7), -1, (w&0x1f+1)*8)
	case c == 0xe0:
		return 4, op{kind: opMove, size: (uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3])) * 16}
	case c == 0xe1:
		return 1, op{kind: opSetFP}
	case c == 0xe2:
		return 2, op{kind: opSetFP, off: uint64(b[1]) * 8}
	case c == 0xe4, c == 0xe5:
		return 1, op{kind: opEnd}
	case c == 0xe6:
		return 1, op{kind: opInt, reg: -1}
	case c == 0xe8, c == 0xe9, c == 0xea, c == 0xeb:
		return 1, op{kind: opMachine, reg: int(c)}
	}
	if c == codeSignLR {
		return 1, op{kind: opSigned}
	}
	return codeSize(c), op{kind: opNop}
}

// codeSize is how many bytes a code has.
func codeSize(c byte) int {
	switch {
	case c < 0xc0, c > 0xe2 && c != 0xe7 && c < 0xf8, c == 0xe1, c >= 0xfc:
		return 1
	case c == 0xe0, c == 0xfa:
		return 4
	case c == 0xe7, c == 0xf9:
		return 3
	case c == 0xfb:
		return 5
	}
	return 2
}

// nextPair resolves save_next: codes stand in the reverse order of the
// instructions, so the pair that it continues is behind it.
func nextPair(b []byte, i, n int) op {
	steps := 0
	for i < len(b) && b[i] == 0xe6 {
		i += n
		steps++
	}
	if i >= len(b) {
		return op{kind: opNop}
	}
	_, o := decodeOp(b[i:])
	if o.pair <= 0 {
		return op{kind: opNop}
	}
	return op{kind: o.kind, reg: o.reg + 2*steps, pair: o.reg + 2*steps + 1, off: o.off + 16*uint64(steps)}
}

// packed returns the codes of a function with packed unwind data, whose
// instructions follow from its fields.
func packed(word, offset uint32) []op {
	regF, regI, home, cr := int(word>>13&7), int(word>>16&0xf), word>>20&1 != 0, word>>21&3
	frame := uint64(word>>23) * 16
	length := word >> 2 & 0x7ff * instruction
	ints := uint64(regI) * 8
	if cr == 1 {
		ints += 8
	}
	floats := 0
	if regF != 0 {
		floats = regF + 1
	}
	saved := ints + uint64(floats)*8
	if home {
		saved += 64
	}
	saved = (saved + 15) &^ 15
	local := frame - min(frame, saved)
	// The prolog in its order; the first store makes the room for all.
	var prolog []op
	store := func(kind opKind, reg, pair int, off uint64) {
		o := op{kind: kind, reg: reg, pair: pair, off: off}
		if len(prolog) == 0 {
			o.size = saved
		}
		prolog = append(prolog, o)
	}
	for i := 0; i < regI; i += 2 {
		switch {
		case i+1 < regI:
			store(opInt, 19+i, 20+i, uint64(i)*8)
		case cr == 1:
			store(opInt, 19+i, regLR, uint64(i)*8)
		default:
			store(opInt, 19+i, -1, uint64(i)*8)
		}
	}
	if cr == 1 && regI%2 == 0 {
		store(opInt, regLR, -1, uint64(regI)*8)
	}
	for i := 0; i < floats; i += 2 {
		pair := 9 + i
		if i+1 >= floats {
			pair = -1
		}
		store(opFloat, 8+i, pair, ints+uint64(i)*8)
	}
	if home {
		for range 4 {
			if len(prolog) == 0 {
				prolog = append(prolog, op{kind: opMove, size: saved})
				continue
			}
			prolog = append(prolog, op{kind: opNop})
		}
	}
	plain := len(prolog)
	const largest = 512 // that a store can move sp by
	switch {
	case cr >= 2 && local <= largest:
		prolog = append(prolog, op{kind: opInt, reg: regFP, pair: regLR, size: local}, op{kind: opSetFP})
	case cr >= 2:
		prolog = append(prolog, op{kind: opMove, size: local}, op{kind: opInt, reg: regFP, pair: regLR}, op{kind: opSetFP})
	case local > 4080:
		prolog = append(prolog, op{kind: opMove, size: 4080}, op{kind: opMove, size: local - 4080})
	case local > 0:
		prolog = append(prolog, op{kind: opMove, size: local})
	}
	ops := make([]op, len(prolog))
	for i, o := range prolog {
		ops[len(ops)-1-i] = o
	}
	if word&3 == 1 { // a whole function, not a fragment without a prolog
		if done := int(offset / instruction); done < len(ops) {
			return ops[len(ops)-done:]
		}
		// The epilog undoes the same without setting fp and storing homes, and
		// returns.
		epilog := make([]op, 0, len(ops))
		for i, o := range ops {
			if o.kind != opSetFP && (o.kind != opNop || i < len(ops)-plain) {
				epilog = append(epilog, o)
			}
		}
		if from := int(length/instruction) - len(epilog) - 1; from >= 0 && int(offset/instruction) > from {
			return epilog[min(int(offset/instruction)-from, len(epilog)):]
		}
	}
	return ops
}

// undo applies the codes, and goes to the caller.
func undo(c *Context, space memory.Space, ops []op) error {
	for _, o := range ops {
		switch o.kind {
		case opMove:
			c.SP += o.size
		case opSetFP:
			c.SP = c.FP - o.off
		case opInt, opFloat:
			for i, reg := range []int{o.reg, o.pair} {
				if reg < 0 {
					continue
				}
				v, err := memory.ReadUint(space, c.SP+o.off+8*uint64(i), 8)
				if err != nil {
					return fmt.Errorf("saved register: %w", err)
				}
				c.restore(o.kind, reg, v)
			}
			c.SP += o.size
		case opMachine:
			return undoMachine(c, space, o.reg)
		case opSigned:
			c.LR = unsigned(c.LR)
		case opNop, opEnd:
		}
	}
	c.PC = c.LR
	return nil
}

func (c *Context) restore(kind opKind, reg int, v uint64) {
	switch {
	case kind == opFloat:
		if reg < len(c.V) {
			binary.LittleEndian.PutUint64(c.V[reg][:], v)
		}
	case reg == regFP:
		c.FP = v
	case reg == regLR:
		c.LR = v
	case reg < len(c.X):
		c.X[reg] = v
	}
}

// codeSignLR is pac_sign_lr.
const codeSignLR = 0xfc

// unsigned drops the signature of a pointer: the bits above the 48 of an
// address repeat bit 55, which tells the kernel's half.
func unsigned(v uint64) uint64 {
	const address = 1<<48 - 1
	if v>>55&1 != 0 {
		return v | ^uint64(address)
	}
	return v & address
}

// Codes of frames that the processor or the kernel made.
const (
	codeTrapFrame    = 0xe8
	codeMachineFrame = 0xe9
	codeContext      = 0xea
)

// undoMachine undoes a frame that an exception made.
func undoMachine(c *Context, space memory.Space, code int) error {
	switch code {
	case codeContext:
		b, err := memory.ReadBytes(space, c.SP, ContextSize)
		if err != nil {
			return err
		}
		saved, err := ParseContext(b)
		if err != nil {
			return err
		}
		*c = *saved
		return nil
	case codeMachineFrame: // sp and pc
		var words [2]uint64
		for i := range words {
			v, err := memory.ReadUint(space, c.SP+8*uint64(i), 8)
			if err != nil {
				return err
			}
			words[i] = v
		}
		c.SP, c.PC = words[0], words[1]
		return nil
	}
	return fmt.Errorf("a frame of the kind %#x is not undone", code)
}
