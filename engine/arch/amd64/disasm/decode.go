package disasm

import "encoding/binary"

// An encoding is how the opcode is introduced.
type encoding uint8

const (
	legacy encoding = iota
	vex
	xop
	evex
)

// A decoder reads one instruction. Past the end of the code it reads zeros and
// remembers it.
type decoder struct {
	mode  Mode
	code  []byte // at most MaxLen bytes
	pos   int
	short bool

	lock     bool
	rep      byte // 0, 0xf2 or 0xf3
	opsize   bool // 66
	adsize   bool // 67
	segment  Reg
	rex      bool
	w        bool
	r, x, b  uint8 // 0 or 8, EVEX: also 16
	enc      encoding
	pp       uint8 // of VEX and EVEX: 0 none, 1 66, 2 f3, 3 f2
	vl       uint8 // 0, 1, 2 (3): 128, 256, 512 bits
	vvvv     uint8
	highIdx  uint8 // EVEX.V': 0 or 16, for a vector index
	aaa      uint8
	zeroing  bool
	evexB    bool
	opcode   byte
	modrm    byte
	hasModRM bool
	hasMem   bool // what follows ModRM is read
	mem      Mem
	is4      int // byte that placeL read, or -1
}

func (d *decoder) u8() byte {
	if d.pos >= len(d.code) {
		d.short = true
		d.pos++
		return 0
	}
	d.pos++
	return d.code[d.pos-1]
}

// uint reads a little-endian number of n bytes.
func (d *decoder) uint(n int) uint64 {
	var v [8]byte
	for i := range n {
		v[i] = d.u8()
	}
	return binary.LittleEndian.Uint64(v[:])
}

// int reads a signed little-endian number of n bytes.
func (d *decoder) int(n int) int64 {
	shift := 64 - 8*n
	return int64(d.uint(n)<<shift) >> shift
}

// peek returns the byte n places ahead without moving.
func (d *decoder) peek(n int) byte {
	if d.pos+n >= len(d.code) {
		return 0
	}
	return d.code[d.pos+n]
}

// Decode decodes the instruction at the start of code. The error is
// ErrInvalid, or ErrTruncated when code ends before the instruction does; the
// Inst is then one byte long and not Valid.
func Decode(mode Mode, code []byte) (Inst, error) {
	d := decoder{mode: mode, code: code[:min(len(code), MaxLen)], is4: -1}
	inst := Inst{Mode: mode, Cond: CondNone}
	ok := d.decode(&inst)
	switch {
	case d.short && len(code) < MaxLen:
		return undecodable(mode), ErrTruncated
	case !ok || d.short:
		return undecodable(mode), ErrInvalid
	}
	inst.Len = d.pos
	return inst, nil
}

func undecodable(mode Mode) Inst { return Inst{Mode: mode, Len: 1, Cond: CondNone} }

func (d *decoder) decode(inst *Inst) bool {
	if !d.prefixes() {
		return false
	}
	m, ok := d.selectMap()
	if !ok || m == nil || d.short {
		return false
	}
	f := d.match(m)
	if f == nil || d.short {
		return false
	}
	return d.build(inst, f)
}

// prefixes reads the legacy prefixes and REX. Repeated lock and rep prefixes
// and contradicting segments are invalid, and nothing may follow REX.
func (d *decoder) prefixes() bool {
	for d.pos < len(d.code) {
		switch c := d.code[d.pos]; {
		case c == 0xf0:
			if d.lock {
				return false
			}
			d.lock = true
		case c == 0xf2 || c == 0xf3:
			if d.rep != 0 {
				return false
			}
			d.rep = c
		case c == 0x66:
			d.opsize = true
		case c == 0x67:
			d.adsize = true
		case c == 0x26 || c == 0x2e || c == 0x36 || c == 0x3e || c == 0x64 || c == 0x65:
			s := map[byte]Reg{0x26: es, 0x2e: cs, 0x36: ss, 0x3e: ds, 0x64: fs, 0x65: gs}[c]
			if d.segment.Class != NoClass && d.segment != s {
				return false
			}
			d.segment = s
		case d.mode == Mode64 && c&0xf0 == 0x40:
			d.rex = true
			d.w = c&8 != 0
			d.r, d.x, d.b = c&4<<1, c&2<<2, c&1<<3
			d.pos++
			return !d.isPrefix(d.peek(0))
		default:
			return true
		}
		d.pos++
	}
	d.short = true
	return true
}

// isPrefix reports whether c is a prefix, which must not follow REX.
func (d *decoder) isPrefix(c byte) bool {
	switch c {
	case 0xf0, 0xf2, 0xf3, 0x66, 0x67, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65:
		return true
	}
	return c&0xf0 == 0x40
}

// selectMap reads the opcode with what introduces it.
func (d *decoder) selectMap() (*opMap, bool) {
	maps := tables()
	op := d.u8()
	vexed := d.mode == Mode64 || d.peek(0) >= 0xc0 && d.mode == Mode32
	switch {
	case op == 0x0f:
		return d.selectTwoByte(maps)
	case op == 0xc5 && vexed:
		return d.readVEX2(maps)
	case op == 0xc4 && vexed:
		return d.readVEX3(maps, vex, "vex")
	case op == 0x62 && vexed:
		return d.readEVEX(maps)
	case op == 0x8f && d.peek(0)&0x1f >= 8 && (d.mode == Mode64 || d.peek(0) >= 0xc0):
		return d.readVEX3(maps, xop, "xop")
	}
	d.opcode = op
	return maps["one"], true
}

func (d *decoder) selectTwoByte(maps map[string]*opMap) (*opMap, bool) {
	name := "0f"
	d.opcode = d.u8()
	switch d.opcode {
	case 0x38:
		name = "0f38"
		d.opcode = d.u8()
	case 0x3a:
		name = "0f3a"
		d.opcode = d.u8()
	case 0x0f:
		// The opcode of 3DNow! stands behind the operands.
		d.readModRM()
		d.readMem(0)
		d.opcode = d.u8()
		return maps["3dnow"], true
	}
	return maps[name], true
}

// plain reports whether no prefix stands that VEX replaces.
func (d *decoder) plain() bool { return !d.lock && d.rep == 0 && !d.opsize && !d.rex }

const mapDigits = "0123456789abcdef"

func (d *decoder) readVEX2(maps map[string]*opMap) (*opMap, bool) {
	if !d.plain() {
		return nil, false
	}
	p := d.u8()
	d.enc = vex
	d.r = ^p & 0x80 >> 4
	d.vvvv = ^p >> 3 & 15
	d.vl, d.pp = p>>2&1, p&3
	d.opcode = d.u8()
	d.in32()
	return maps["vex1"], true
}

func (d *decoder) readVEX3(maps map[string]*opMap, enc encoding, prefix string) (*opMap, bool) {
	if !d.plain() {
		return nil, false
	}
	p, q := d.u8(), d.u8()
	d.enc = enc
	d.r, d.x, d.b = ^p&0x80>>4, ^p&0x40>>3, ^p&0x20>>2
	d.w = q&0x80 != 0
	d.vvvv = ^q >> 3 & 15
	d.vl, d.pp = q>>2&1, q&3
	d.opcode = d.u8()
	d.in32()
	if p&0x1f > 15 {
		return nil, false
	}
	return maps[prefix+mapDigits[p&0x1f:][:1]], true
}

func (d *decoder) readEVEX(maps map[string]*opMap) (*opMap, bool) {
	if !d.plain() {
		return nil, false
	}
	p, q, s := d.u8(), d.u8(), d.u8()
	if p&8 != 0 || q&4 == 0 {
		return nil, false
	}
	d.enc = evex
	d.r = ^p&0x80>>4 | ^p&0x10
	d.x, d.b = ^p&0x40>>3, ^p&0x20>>2
	d.w = q&0x80 != 0
	d.pp = q & 3
	d.highIdx = ^s & 8 << 1
	d.vvvv = ^q>>3&15 | d.highIdx
	d.zeroing = s&0x80 != 0
	d.vl = s >> 5 & 3
	d.evexB = s&0x10 != 0
	d.aaa = s & 7
	d.opcode = d.u8()
	d.in32()
	return maps["evex"+mapDigits[p&7:][:1]], true
}

// in32 drops the register bits that only 64-bit code has.
func (d *decoder) in32() {
	if d.mode != Mode64 {
		d.r, d.x, d.b, d.highIdx = 0, 0, 0, 0
		d.vvvv &= 7
	}
}

// match returns the form for the opcode and its prefixes, or nil.
func (d *decoder) match(m *opMap) *form {
	forms := m[d.opcode]
	for i := range forms {
		if f := &forms[i]; d.fits(f) {
			return f
		}
		if d.short {
			return nil
		}
	}
	return nil
}

func (d *decoder) fits(f *form) bool {
	switch {
	case f.mode == 64 && d.mode != Mode64, f.mode == 1 && d.mode == Mode64:
		return false
	case !d.prefixFits(f.prefix):
		return false
	case f.w >= 0 && d.w != (f.w == 1):
		return false
	case f.l >= 0 && d.length(f) != uint8(f.l):
		return false
	case f.osz != 0 && d.operandSize(f) != int(f.osz):
		return false
	case f.names[1] == "":
		return false
	}
	if f.flags&flagModRM != 0 {
		if !d.hasModRM {
			d.readModRM()
		}
		reg := d.modrm >= 0xc0
		switch {
		case d.short:
			return false
		case f.mod == 'm' && reg, f.mod == 'r' && !reg:
			return false
		case f.reg >= 0 && d.modrm>>3&7 != uint8(f.reg):
			return false
		case f.modrm >= 0 && d.modrm != uint8(f.modrm):
			return false
		}
	}
	for i := range int(f.immLen) {
		if d.peek(i) != byte(f.immVal>>(8*i)) {
			if d.pos+i >= len(d.code) {
				d.short = true
			}
			return false
		}
	}
	return true
}

// length returns the vector length that a form sees: a register form with
// static rounding is of full length, its length bits say the rounding.
func (d *decoder) length(f *form) uint8 {
	if d.enc == evex && d.evexB && f.flags&(flagER|flagSAE) != 0 && d.hasModRM && d.modrm >= 0xc0 {
		return 2
	}
	return d.vl
}

func (d *decoder) prefixFits(rule prefixRule) bool {
	if d.enc != legacy {
		want := [...]int8{anyPrefix: -1, noPrefix: 0, need66: 1, needF3: 2, needF2: 3, needF3with66: 2, needF2with66: 3, noRep: -1}[rule]
		return want < 0 || d.pp == uint8(want)
	}
	switch rule {
	case noPrefix:
		// With lock, f2 and f3 announce elision and select nothing.
		return (d.rep == 0 || d.lock) && !d.opsize
	case noRep:
		return d.rep == 0
	case need66:
		return d.rep == 0 && d.opsize
	case needF3:
		return d.rep == 0xf3 && !d.opsize
	case needF2:
		return d.rep == 0xf2 && !d.opsize
	case needF3with66:
		return d.rep == 0xf3
	case needF2with66:
		return d.rep == 0xf2
	}
	return true
}

// operandSize returns the operand size in bits.
func (d *decoder) operandSize(f *form) int {
	long := f.flags&(flagD64|flagF64) != 0 && d.mode == Mode64
	switch {
	case d.w:
		return 64
	case d.opsize && f.prefix != need66 && d.mode != Mode16:
		return 16
	case long:
		return 64
	case d.mode == Mode16 && !d.opsize:
		return 16
	}
	return 32
}

// addressSize returns the address size in bits.
func (d *decoder) addressSize() int {
	switch {
	case d.mode == Mode64 && d.adsize:
		return 32
	case d.mode == Mode64:
		return 64
	case (d.mode == Mode32) == d.adsize:
		return 16
	}
	return 32
}
