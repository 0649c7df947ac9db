package amd64

import (
	"strconv"
	"strings"
)

// A regPart is the piece of a register that a name stands for.
type regPart struct {
	get   func(*Context) uint64
	set   func(*Context, uint64)
	shift uint8
	bits  uint8
}

// regNames maps the debugger's register names, in lower case, to registers.
var regNames = makeRegNames()

func makeRegNames() map[string]regPart {
	m := make(map[string]regPart)
	gpr := func(i int, shift, bits uint8, name string) {
		m[name] = regPart{
			get:   func(c *Context) uint64 { return c.GPR[i] },
			set:   func(c *Context, v uint64) { c.GPR[i] = v; c.Unknown &^= 1 << i },
			shift: shift, bits: bits,
		}
	}
	for i, n := range [...]string{"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"} {
		gpr(i, 0, 64, "r"+n)
		gpr(i, 0, 32, "e"+n)
		gpr(i, 0, 16, n)
		if i < 4 {
			gpr(i, 0, 8, n[:1]+"l")
			gpr(i, 8, 8, n[:1]+"h")
		} else {
			gpr(i, 0, 8, n+"l")
		}
	}
	for i := R8; i <= R15; i++ {
		n := "r" + strconv.Itoa(i)
		gpr(i, 0, 64, n)
		gpr(i, 0, 32, n+"d")
		gpr(i, 0, 16, n+"w")
		gpr(i, 0, 8, n+"b")
	}
	for n, bits := range map[string]uint8{"rip": 64, "eip": 32, "ip": 16} {
		m[n] = regPart{get: func(c *Context) uint64 { return c.RIP }, set: func(c *Context, v uint64) { c.RIP = v }, bits: bits}
	}
	flags := func(name string, shift, bits uint8) {
		m[name] = regPart{
			get:   func(c *Context) uint64 { return uint64(c.EFlags) },
			set:   func(c *Context, v uint64) { c.EFlags = uint32(v) },
			shift: shift, bits: bits,
		}
	}
	flags("efl", 0, 32)
	for n, bit := range map[string]uint8{
		"cf": 0, "pf": 2, "af": 4, "zf": 6, "sf": 7, "tf": 8, "if": 9, "df": 10, "of": 11, "vif": 19, "vip": 20,
	} {
		flags(n, bit, 1)
	}
	flags("iopl", 12, 2)
	word := func(name string, field func(*Context) *uint16) {
		m[name] = regPart{
			get: func(c *Context) uint64 { return uint64(*field(c)) }, set: func(c *Context, v uint64) { *field(c) = uint16(v) }, bits: 16,
		}
	}
	word("cs", func(c *Context) *uint16 { return &c.CS })
	word("ds", func(c *Context) *uint16 { return &c.DS })
	word("es", func(c *Context) *uint16 { return &c.ES })
	word("fs", func(c *Context) *uint16 { return &c.FS })
	word("gs", func(c *Context) *uint16 { return &c.GS })
	word("ss", func(c *Context) *uint16 { return &c.SS })
	word("fpcw", func(c *Context) *uint16 { return &c.FPControl })
	word("fpsw", func(c *Context) *uint16 { return &c.FPStatus })
	m["fptw"] = regPart{get: func(c *Context) uint64 { return uint64(c.FPTag) }, set: func(c *Context, v uint64) { c.FPTag = uint8(v) }, bits: 16}
	m["mxcsr"] = regPart{get: func(c *Context) uint64 { return uint64(c.MXCSR) }, set: func(c *Context, v uint64) { c.MXCSR = uint32(v) }, bits: 32}
	quad := func(name string, field func(*Context) *uint64) {
		m[name] = regPart{get: func(c *Context) uint64 { return *field(c) }, set: func(c *Context, v uint64) { *field(c) = v }, bits: 64}
	}
	quad("dr0", func(c *Context) *uint64 { return &c.DR0 })
	quad("dr1", func(c *Context) *uint64 { return &c.DR1 })
	quad("dr2", func(c *Context) *uint64 { return &c.DR2 })
	quad("dr3", func(c *Context) *uint64 { return &c.DR3 })
	quad("dr6", func(c *Context) *uint64 { return &c.DR6 })
	quad("dr7", func(c *Context) *uint64 { return &c.DR7 })
	return m
}

// Get returns the register, part of one or flag with this name, and its width in
// bits. Names are the debugger's (rax, eax, ax, al, ah, r8d, sil, zf, iopl, efl);
// case does not matter. Vector registers have no value that fits: see Vector.
func (c *Context) Get(name string) (value uint64, bits int, ok bool) {
	p, ok := regNames[strings.ToLower(name)]
	if !ok {
		return 0, 0, false
	}
	return p.get(c) >> p.shift & mask(p.bits), int(p.bits), true
}

// Set changes a register, part of one or flag. What the name does not cover keeps
// its value, also for 32-bit parts: a debugger's write does not extend.
func (c *Context) Set(name string, value uint64) bool {
	p, ok := regNames[strings.ToLower(name)]
	if !ok {
		return false
	}
	m := mask(p.bits) << p.shift
	p.set(c, p.get(c)&^m|value<<p.shift&m)
	return true
}

func mask(bits uint8) uint64 { return ^uint64(0) >> (64 - bits) }

// Vector returns the 16 bytes of xmm0 … xmm15, or of st0 … st7 (10 bytes) and
// mm0 … mm7 (8 bytes), lowest first.
func (c *Context) Vector(name string) ([]byte, bool) {
	name = strings.ToLower(name)
	for _, kind := range []struct {
		prefix string
		n      int
		size   int
		reg    func(int) []byte
	}{
		{"xmm", len(c.XMM), 16, func(i int) []byte { return c.XMM[i][:] }},
		{"st", len(c.ST), 10, func(i int) []byte { return c.ST[i][:] }},
		{"mm", len(c.ST), 8, func(i int) []byte { return c.ST[i][:] }},
	} {
		digits, ok := strings.CutPrefix(name, kind.prefix)
		if !ok || digits == "" || len(digits) > 2 || digits != "0" && digits[0] == '0' {
			continue
		}
		if i, err := strconv.ParseUint(digits, 10, 8); err == nil && int(i) < kind.n {
			return kind.reg(int(i))[:kind.size], true
		}
	}
	return nil, false
}
