package disasm

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// The instruction tables. A line is
//
//	OPCODE CONSTRAINTS... = MNEMONIC OPERANDS ; FLAGS...
//
// under a heading that names the opcode map. The first line of an opcode whose
// constraints hold is the instruction, so special cases stand first.
//
// OPCODE is two hexadecimal digits; 40-47 is a range; with +1 or +8 the
// mnemonics, divided by slashes, belong to opcodes that far apart.
//
// CONSTRAINTS: np 66 f3 f2 (the mandatory prefix, and no other of them; f3x and
// f2x allow 66 as well, nr only 66; without any of these, prefixes do not select), w0 w1,
// l0 l1 l2, o16 o32 o64 (operand size), 64 and i64 (only in, only outside
// 64-bit code), m and r (ModRM names memory, a register), /0 to /7 (its
// register field; /* gives each a mnemonic of the list), =c8 (the whole of
// it; =c8+ counts up through the list), ib= and iw= (the immediate that
// follows).
//
// MNEMONIC: divided by | it depends on operand size 16, 32, 64 (address size
// with the flag bya). A mnemonic - is none.
//
// OPERANDS are letters for the place and the size, after the manuals' opcode
// tables: operandKinds and sizes in this file. A dot and a letter give the
// size word of memory when it differs from the register's.
// FLAGS: formFlags and flows; b16 b32 b64 the element of a broadcast, s1 s2 what
// an EVEX displacement byte counts when that is not the size of the operand.
//
//go:embed base.ops
var baseOps string

//go:embed 0f.ops
var twoByteOps string

//go:embed vex.ops
var vexOps string

//go:embed evex.ops
var evexOps string

// A prefixRule says which mandatory prefix a form wants.
type prefixRule uint8

const (
	anyPrefix prefixRule = iota
	noPrefix
	need66
	needF3
	needF2
	needF3with66
	needF2with66
	noRep
)

// Flags of a form.
const (
	flagHLE     = 1 << iota // takes xacquire and xrelease
	flagMov                 // takes xrelease with lock
	flagBnd                 // f2 is bnd
	flagRepe                // f3 is repe
	flagD64                 // 64 bits are the default in 64-bit code
	flagF64                 // as flagD64 (and nothing but 66 changes it)
	flagByAddr              // mnemonic by address size
	flagNoMem               // memory is not accessed
	flagER                  // EVEX: static rounding
	flagSAE                 // EVEX: exceptions suppressed
	flagModRM               // has a ModRM byte
	flagCond                // jcc
	flagVexWord             // prints the word vex
	flagLIG                 // scalar: the vector length is ignored
)

// A form is one line of the tables, expanded.
type form struct {
	names  [3]string // by operand size 16, 32, 64
	args   []argSpec
	prefix prefixRule
	mode   uint8 // 0, 64: only there, 1: not in 64-bit code
	mod    uint8 // 0, 'm', 'r'
	reg    int8  // register field, or -1
	modrm  int16 // whole ModRM, or -1
	osz    uint8 // 0 or operand size
	w, l   int8  // -1 any
	flags  uint32
	flow   Flow
	cond   Cond
	immLen uint8 // bytes of a following immediate that must be immVal
	immVal uint16
	bcast  uint8 // bytes of a broadcast element, 0 when there is none
	scale  uint8 // of an EVEX displacement byte, 0: the size of the memory operand
}

// A place is where an operand is encoded.
type place uint8

const (
	placeNone    place = iota
	placeFixed         // reg
	placeE             // general register or memory, ModRM.rm
	placeG             // general register, ModRM.reg
	placeZ             // general register, low bits of the opcode
	placeB             // general register, VEX.vvvv
	placeM             // memory only
	placeMr            // memory without size, a register is shown as 64 bits
	placeV             // vector, ModRM.reg
	placeW             // vector or memory, ModRM.rm
	placeH             // vector, VEX.vvvv
	placeL             // vector, high half of the immediate
	placeVSIB          // memory with a vector index
	placeP             // MMX, ModRM.reg
	placeQ             // MMX or memory, ModRM.rm
	placeKreg          // mask, ModRM.reg
	placeKrm           // mask or memory, ModRM.rm
	placeKv            // mask, VEX.vvvv
	placeTreg          // tile, ModRM.reg
	placeTrm           // tile or memory, ModRM.rm
	placeTv            // tile, VEX.vvvv
	placeBndReg        // bound register, ModRM.reg
	placeBndRM         // bound register or memory, ModRM.rm
	placeSeg           // segment register, ModRM.reg
	placeControl       // control register, ModRM.reg
	placeDebug
	placeTest
	placeRM     // general register, ModRM.rm, memory is not possible
	placeImm    // immediate of the size
	placeSigned // byte, extended to the operand size
	placeImmZ   // 16 or 32 bits, extended to the operand size
	placeNibble // low half of the byte that placeL has
	placeCmp    // comparison predicate, part of the mnemonic where it can be
	placeHidden // byte that is not shown
	placeConst  // a number that is not encoded
	placeJump   // relative target
	placeFar    // selector and offset
	placeMoffs  // absolute address
	placeSource // string source, [rsi]
	placeDest   // string destination, [rdi]
	placeXlat   // [rbx]
	placeFloat  // st(i), ModRM.rm
	placeAcc    // accumulator of the operand size
	placeAddr   // register Num of the address size
)

// An argSpec is one operand of a form.
type argSpec struct {
	place place
	size  byte // letter
	mem   byte // letter of the memory size word
	reg   Reg
	num   uint8
}

// fixed operands by their name.
var fixedArgs = map[string]argSpec{
	"al": fixed(al), "ax": fixed(ax), "cl": fixed(cl), "dx": fixed(dx), "eax": fixed(eax), "ecx": fixed(ecx),
	"rax": fixed(rax), "rcx": fixed(rcx), "rdx": fixed(rdx), "xmm0": fixed(Reg{XMM, 0}),
	"es": fixed(es), "cs": fixed(cs), "ss": fixed(ss), "ds": fixed(ds), "fs": fixed(fs), "gs": fixed(gs),
	"st":  fixed(Reg{Float, 8}),
	"sti": {place: placeFloat}, "rAX": {place: placeAcc},
	"rAXn": {place: placeAddr, num: 0}, "rCXn": {place: placeAddr, num: 1}, "rDXn": {place: placeAddr, num: 2}, "rBXn": {place: placeAddr, num: 3},
	"I1": {place: placeConst, num: 1}, "I3": {place: placeConst, num: 3}, "I_": {place: placeHidden},
	"Is": {place: placeSigned}, "Iz": {place: placeImmZ}, "I4": {place: placeNibble}, "Icmp": {place: placeCmp},
	"Xlat": {place: placeXlat}, "Ap": {place: placeFar}, "Mr": {place: placeMr}, "Sw": {place: placeSeg},
	"Cr": {place: placeControl}, "Dr": {place: placeDebug}, "Tr": {place: placeTest},
	"Br": {place: placeBndReg}, "Bm": {place: placeBndRM},
	"Kr": {place: placeKreg}, "Kv": {place: placeKv}, "Tv": {place: placeTv},
	"Treg": {place: placeTreg},
}

func fixed(r Reg) argSpec { return argSpec{place: placeFixed, reg: r} }

// operandKinds maps the first letter of an operand.
var operandKinds = map[byte]place{
	'E': placeE, 'G': placeG, 'Z': placeZ, 'D': placeB, 'M': placeM, 'R': placeRM,
	'V': placeV, 'W': placeW, 'H': placeH, 'L': placeL, 'N': placeVSIB, 'P': placeP, 'Q': placeQ,
	'K': placeKrm, 'T': placeTrm, 'I': placeImm, 'J': placeJump, 'O': placeMoffs, 'X': placeSource, 'Y': placeDest,
}

func parseArg(s string) (argSpec, error) {
	if a, ok := fixedArgs[s]; ok {
		return a, nil
	}
	name, mem, dotted := strings.Cut(s, ".")
	p, ok := operandKinds[name[0]]
	if !ok || len(name) > 2 || dotted && len(mem) != 1 {
		return argSpec{}, fmt.Errorf("operand %q", s)
	}
	a := argSpec{place: p}
	if len(name) == 2 {
		a.size = name[1]
	}
	if dotted {
		a.mem = mem[0]
	} else {
		a.mem = a.size
	}
	switch {
	case p == placeM && a.size == 'n':
		a.mem = '0'
	case (p == placeV || p == placeW || p == placeH || p == placeL) && a.size == 0:
		a.size = 'v'
		if !dotted {
			a.mem = 'v'
		}
	case p == placeW && !dotted && a.size == 'o':
		a.mem = 'x'
	}
	return a, nil
}

// modrmPlaces are the places that need a ModRM byte.
func (a argSpec) usesModRM() bool {
	switch a.place {
	case placeE, placeG, placeM, placeMr, placeV, placeW, placeVSIB, placeP, placeQ, placeKreg, placeKrm,
		placeTreg, placeTrm, placeBndReg, placeBndRM, placeSeg, placeControl, placeDebug, placeTest, placeRM, placeFloat:
		return true
	}
	return false
}

var formFlags = map[string]uint32{
	"hle": flagHLE, "mov": flagMov, "bnd": flagBnd, "repe": flagRepe, "d64": flagD64, "f64": flagF64,
	"bya": flagByAddr, "nomem": flagNoMem, "er": flagER, "sae": flagSAE, "vex": flagVexWord, "lig": flagLIG,
}

var flows = map[string]Flow{"call": Call, "jmp": Jump, "jcc": Branch, "ret": Return, "int": Trap}

// An opMap holds the forms of one opcode map.
type opMap [256][]form

// tables returns all maps by name, read once.
var tables = sync.OnceValue(func() map[string]*opMap {
	maps := map[string]*opMap{}
	for _, text := range tableTexts {
		if err := readTable(maps, text); err != nil {
			panic("disasm: built-in tables: " + err.Error()) // a test reads them
		}
	}
	return maps
})

var tableTexts = []string{baseOps, twoByteOps, vexOps, evexOps}

func readTable(maps map[string]*opMap, text string) error {
	var m *opMap
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
			continue
		case line[0] == '[':
			m = new(opMap)
			maps[strings.Trim(line, "[]")] = m
			continue
		}
		if m == nil {
			return fmt.Errorf("line %d: before a heading", n+1)
		}
		if err := readLine(m, line); err != nil {
			return fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	return nil
}

// A lineHead is the part of a line before the equals sign.
type lineHead struct {
	first, last, step int // opcodes
	eachReg           bool
	eachModRM         bool
}

func readLine(m *opMap, line string) error {
	left, right, ok := strings.Cut(line, " = ")
	if !ok {
		return fmt.Errorf("no equals sign in %q", line)
	}
	f := form{reg: -1, modrm: -1, w: -1, l: -1, cond: CondNone}
	head, err := readHead(&f, strings.Fields(left))
	if err != nil {
		return err
	}
	right, flags, _ := strings.Cut(right, ";")
	words := strings.Fields(right)
	if len(words) == 0 || len(words) > 2 {
		return fmt.Errorf("want mnemonic and operands in %q", line)
	}
	for _, flag := range strings.Fields(flags) {
		switch {
		case formFlags[flag] != 0:
			f.flags |= formFlags[flag]
		case flows[flag] != 0:
			f.flow = flows[flag]
			if f.flow == Branch {
				f.flags |= flagCond
			}
			if f.flow == Call || f.flow == Jump || f.flow == Branch {
				f.flags |= flagBnd
			}
		case flag == "s1" || flag == "s2":
			f.scale = flag[1] - '0'
		case flag[0] == 'b':
			bits, err := strconv.Atoi(flag[1:])
			if err != nil {
				return fmt.Errorf("flag %q", flag)
			}
			f.bcast = uint8(bits / 8)
		default:
			return fmt.Errorf("flag %q", flag)
		}
	}
	operands := ""
	if len(words) == 2 {
		operands = words[1]
	}
	return expand(m, f, head, strings.Split(words[0], "/"), operands)
}

func readHead(f *form, words []string) (lineHead, error) {
	var h lineHead
	op := words[0]
	first, err := strconv.ParseUint(op[:2], 16, 8)
	if err != nil {
		return h, err
	}
	h.first, h.last = int(first), int(first)
	switch {
	case len(op) == 5 && op[2] == '-':
		last, err := strconv.ParseUint(op[3:], 16, 8)
		if err != nil {
			return h, err
		}
		h.last = int(last)
	case len(op) > 2 && op[2] == '+':
		if h.step, err = strconv.Atoi(op[3:]); err != nil {
			return h, err
		}
	}
	prefixes := map[string]prefixRule{"np": noPrefix, "66": need66, "f3": needF3, "f2": needF2, "f3x": needF3with66, "f2x": needF2with66, "nr": noRep}
	for _, w := range words[1:] {
		switch {
		case prefixes[w] != 0:
			f.prefix = prefixes[w]
		case w == "w0" || w == "w1":
			f.w = int8(w[1] - '0')
		case w == "l0" || w == "l1" || w == "l2":
			f.l = int8(w[1] - '0')
		case w == "o16" || w == "o32" || w == "o64":
			n, _ := strconv.Atoi(w[1:])
			f.osz = uint8(n)
		case w == "64":
			f.mode = 64
		case w == "i64":
			f.mode = 1
		case w == "m" || w == "r":
			f.mod = w[0]
			f.flags |= flagModRM
		case w == "/*":
			h.eachReg = true
			f.flags |= flagModRM
		case w[0] == '/':
			f.reg = int8(w[1] - '0')
			f.flags |= flagModRM
		case w[0] == '=':
			v, err := strconv.ParseUint(w[1:3], 16, 8)
			if err != nil {
				return h, err
			}
			f.modrm = int16(v)
			f.flags |= flagModRM
			h.eachModRM = len(w) == 4
		case strings.HasPrefix(w, "ib=") || strings.HasPrefix(w, "iw="):
			v, err := strconv.ParseUint(w[3:], 16, 16)
			if err != nil {
				return h, err
			}
			f.immLen, f.immVal = 1, uint16(v)
			if w[1] == 'w' {
				f.immLen = 2
			}
		default:
			return h, fmt.Errorf("constraint %q", w)
		}
	}
	return h, nil
}

// expand adds the forms of one line to the map.
func expand(m *opMap, f form, h lineHead, names []string, operands string) error {
	add := func(op, i int) error {
		g := f
		name := names[min(i, len(names)-1)]
		if name == "-" {
			return nil
		}
		if op > 0xff {
			return fmt.Errorf("opcode %x", op)
		}
		parts := strings.Split(name, "|")
		for k := range g.names {
			g.names[k] = parts[min(k, len(parts)-1)]
		}
		list := operands
		if strings.Contains(operands, "/") {
			list = strings.Split(operands, "/")[i]
		}
		if list != "" {
			for _, s := range strings.Split(list, ",") {
				a, err := parseArg(s)
				if err != nil {
					return err
				}
				if a.usesModRM() {
					g.flags |= flagModRM
				}
				g.args = append(g.args, a)
			}
		}
		if g.flow == Branch {
			g.cond = condOf(g.names[1])
		}
		m[op] = append(m[op], g)
		return nil
	}
	for i := range names {
		switch {
		case h.eachReg:
			f.reg = int8(i)
		case h.eachModRM && i > 0:
			f.modrm++
		}
		last := h.last
		if h.step > 0 {
			last = h.first + i*h.step
		}
		for op := h.first + i*h.step; op <= last; op++ {
			if err := add(op, i); err != nil {
				return err
			}
		}
	}
	return nil
}

var conditions = []string{
	"jo", "jno", "jb", "jae", "je", "jne", "jbe", "ja", "js", "jns", "jp", "jnp", "jl", "jge", "jle", "jg",
	"loopne", "loope", "loop", "jecxz",
}

func condOf(name string) Cond {
	for i, c := range conditions {
		if c == name {
			return Cond(i)
		}
	}
	return CondNone
}
