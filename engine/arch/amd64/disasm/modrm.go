package disasm

func (d *decoder) readModRM() {
	d.modrm = d.u8()
	d.hasModRM = true
}

func (d *decoder) reg() uint8 { return d.modrm>>3&7 | d.r }

// rm is the register that ModRM names in place of memory.
func (d *decoder) rm() uint8 { return d.modrm&7 | d.b }

// rmVector is rm for vectors: EVEX lends it the index bit as its fifth.
func (d *decoder) rmVector() uint8 {
	n := d.rm()
	if d.enc == evex {
		n |= d.x << 1
	}
	return n
}

// readMem reads what follows a ModRM byte that names memory. scale is what
// EVEX multiplies a displacement of one byte with, 0 for other encodings.
func (d *decoder) readMem(scale int) {
	if !d.hasModRM || d.hasMem || d.modrm >= 0xc0 {
		return
	}
	d.hasMem = true
	if d.addressSize() == 16 {
		d.readMem16(scale)
		return
	}
	class := Dword
	if d.addressSize() == 64 {
		class = Qword
	}
	m := Mem{Segment: d.segment, Scale: 1}
	mod, rm := d.modrm>>6, d.modrm&7
	base := Reg{class, rm | d.b}
	if rm == 4 {
		sib := d.u8()
		m.Scale = 1 << (sib >> 6)
		if i := sib>>3&7 | d.x; i != 4 {
			m.Index = Reg{class, i}
		}
		rm = sib & 7
		base = Reg{class, rm | d.b}
	}
	switch {
	case mod == 0 && rm == 5 && d.modrm&7 == 5 && d.mode == Mode64:
		m.Base = Reg{IP, uint8(d.addressSize())}
		m.Disp = d.int(4)
		m.disp32 = true
	case mod == 0 && rm == 5:
		m.Disp = d.int(4)
		m.disp32 = true
		if class == Dword && m.Index.Class == NoClass {
			m.Disp = int64(uint32(m.Disp))
		}
	default:
		m.Base = base
		d.readDisp(&m, mod, 4, scale)
	}
	d.mem = m
}

func (d *decoder) readDisp(m *Mem, mod uint8, wide, scale int) {
	switch mod {
	case 1:
		m.Disp = d.int(1) * int64(max(scale, 1))
	case 2:
		m.Disp = d.int(wide)
		m.disp32, m.disp16 = wide == 4, wide == 2 && m.Disp != 0
	}
}

var (
	bases16   = [...]uint8{3, 3, 5, 5, 6, 7, 5, 3}
	indices16 = [...]uint8{6, 7, 6, 7}
)

func (d *decoder) readMem16(scale int) {
	m := Mem{Segment: d.segment, Scale: 1}
	mod, rm := d.modrm>>6, d.modrm&7
	if mod == 0 && rm == 6 {
		m.Disp = int64(d.uint(2))
		d.mem = m
		return
	}
	m.Base = Reg{Word, bases16[rm]}
	if rm < 4 {
		m.Index = Reg{Word, indices16[rm]}
	}
	d.readDisp(&m, mod, 2, scale)
	d.mem = m
}

// A sizeWord is what a size letter stands for.
type sizeWord struct {
	word string
	size int
}

var sizeWords = [256]sizeWord{
	'b': {"byte", 1}, 'w': {"word", 2}, 'd': {"dword", 4}, 'q': {"qword", 8}, 'm': {"mmword", 8},
	'f': {"fword", 6}, 't': {"tbyte", 10}, 'o': {"oword", 16},
	'x': {"xmmword", 16}, 'y': {"ymmword", 32}, 'z': {"zmmword", 64}, 'T': {"tile", 0}, 'Z': {"zword", 64},
}

// memSize resolves a memory size letter.
func (d *decoder) memSize(letter byte, f *form) sizeWord {
	osz := d.operandSize(f)
	switch letter {
	case 'v':
		return [...]sizeWord{sizeWords['x'], sizeWords['y'], sizeWords['z'], sizeWords['z']}[d.length(f)]
	case 'h':
		return [...]sizeWord{sizeWords['m'], sizeWords['x'], sizeWords['y'], sizeWords['y']}[d.length(f)]
	case 'k':
		return [...]sizeWord{sizeWords['d'], sizeWords['m'], sizeWords['x'], sizeWords['x']}[d.length(f)]
	case 'e':
		return [...]sizeWord{sizeWords['w'], sizeWords['d'], sizeWords['m'], sizeWords['m']}[d.length(f)]
	case 'V': // by the operand size
		return map[int]sizeWord{16: sizeWords['w'], 32: sizeWords['d'], 64: sizeWords['q']}[osz]
	case 'Y': // by REX.W
		if d.w {
			return sizeWords['q']
		}
		return sizeWords['d']
	case 'n': // by the mode
		if d.mode == Mode64 {
			return sizeWords['q']
		}
		return sizeWords['d']
	case 'p': // far pointer
		return map[int]sizeWord{16: sizeWords['d'], 32: sizeWords['f'], 64: sizeWords['t']}[osz]
	case 'a': // bounds
		return map[int]sizeWord{16: sizeWords['d'], 32: sizeWords['q'], 64: sizeWords['q']}[osz]
	case 'P': // descriptor table
		if d.mode == Mode64 {
			return sizeWords['t']
		}
		return sizeWords['f']
	}
	return sizeWords[letter]
}

// generalSize resolves the size letter of a general register, in bytes.
func (d *decoder) generalSize(letter byte, f *form) int {
	switch letter {
	case 'b':
		return 1
	case 'w':
		return 2
	case 'd':
		return 4
	case 'q':
		return 8
	case 'y':
		if d.w {
			return 8
		}
		return 4
	case 'n':
		return map[Mode]int{Mode16: 2, Mode32: 4, Mode64: 8}[d.mode]
	case 'a':
		return d.addressSize() / 8
	}
	return d.operandSize(f) / 8
}

// vectorSize resolves the size letter of a vector register, in bytes.
func (d *decoder) vectorSize(letter byte, f *form) int {
	vl := 16 << min(d.length(f), 2)
	switch letter {
	case 'o':
		return 16
	case 'y':
		return 32
	case 'z':
		return 64
	case 'h':
		return max(vl/2, 16)
	case 'k':
		return max(vl/4, 16)
	case 'e':
		return 16
	}
	return vl
}
