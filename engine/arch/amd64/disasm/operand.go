package disasm

import "strings"

// build fills inst from the form that matched.
func (d *decoder) build(inst *Inst, f *form) bool {
	scalar := f.flags&flagLIG != 0
	rounds := d.enc == evex && d.evexB && d.hasModRM && d.modrm >= 0xc0
	if d.enc == evex && d.vl == 3 && !(rounds && f.flags&(flagER|flagSAE) != 0) && !scalar {
		return false
	}
	d.readMem(d.dispScale(f))
	inst.OpSize, inst.AddrSize = d.operandSize(f), d.addressSize()
	inst.Mnemonic = f.names[sizeIndex(inst.OpSize)]
	if f.flags&flagByAddr != 0 {
		inst.Mnemonic = f.names[sizeIndex(inst.AddrSize)]
	}
	if inst.Mnemonic == "" {
		return false
	}
	inst.Flow, inst.Cond = f.flow, f.cond
	inst.noMem = f.flags&flagNoMem != 0
	for i := range f.args {
		if !d.arg(inst, f, &f.args[i]) {
			return false
		}
	}
	if rounds {
		switch {
		case f.flags&flagER != 0:
			inst.Suffix = [...]string{"{rn-sae}", "{rd-sae}", "{ru-sae}", "{rz-sae}"}[d.vl]
		case f.flags&flagSAE != 0:
			inst.Suffix = "{sae}"
		}
	}
	if d.enc == evex && inst.nargs > 0 {
		inst.args[0].Mask, inst.args[0].Zero = d.aaa, d.zeroing && d.aaa != 0
	}
	d.prefixWords(inst, f)
	return true
}

func sizeIndex(bits int) int {
	switch bits {
	case 16:
		return 0
	case 64:
		return 2
	}
	return 1
}

// dispScale returns what a one-byte displacement is multiplied with.
func (d *decoder) dispScale(f *form) int {
	if d.enc != evex {
		return 0
	}
	switch {
	case d.evexB && f.bcast != 0:
		return int(f.bcast)
	case f.scale != 0:
		return int(f.scale)
	}
	for i := range f.args {
		switch a := &f.args[i]; a.place {
		case placeE, placeM, placeW, placeVSIB, placeKrm:
			return max(d.memSize(d.memLetter(a), f).size, 1)
		}
	}
	return 0
}

// memLetter gives general operands without a size of their own the letters
// that resolve by operand size and REX.W.
func (d *decoder) memLetter(a *argSpec) byte {
	if a.place == placeE || a.place == placeM || a.place == placeRM {
		switch {
		case a.mem == 'v' || a.mem == 0:
			return 'V'
		case a.mem == 'y':
			return 'Y'
		case a.place == placeM && a.mem == 't' && a.size == 't':
			return 'P'
		}
	}
	return a.mem
}

func (i *Inst) add(a Arg) bool {
	if i.nargs == len(i.args) {
		return false
	}
	i.args[i.nargs] = a
	i.nargs++
	return true
}

func (i *Inst) addReg(r Reg) bool { return i.add(Arg{Kind: ArgReg, Reg: r}) }

// addMem adds the memory operand that ModRM described.
func (d *decoder) addMem(inst *Inst, f *form, a *argSpec) bool {
	m := d.mem
	s := d.memSize(d.memLetter(a), f)
	m.Word, m.Size = s.word, s.size
	if d.enc == evex && d.evexB {
		m.Bcast = true
		switch f.bcast {
		case 2:
			m.Word, m.Size = "word", 2
		case 4:
			m.Word, m.Size = "dword", 4
		case 8:
			m.Word, m.Size = "qword", 8
		}
	}
	return inst.add(Arg{Kind: ArgMem, Mem: m})
}

// arg decodes one operand. Register operands and memory come from bytes that
// are read already; immediates are read here, in their order.
func (d *decoder) arg(inst *Inst, f *form, a *argSpec) bool {
	isReg := d.modrm >= 0xc0
	switch a.place {
	case placeFixed:
		return inst.addReg(a.reg)
	case placeAcc:
		return inst.addReg(general(0, d.operandSize(f)/8, true))
	case placeAddr:
		return inst.addReg(general(a.num, d.addressSize()/8, true))
	case placeG:
		return inst.addReg(general(d.reg()&15, d.generalSize(a.size, f), d.rex || d.enc != legacy))
	case placeZ:
		return inst.addReg(general(d.opcode&7|d.b, d.generalSize(a.size, f), d.rex))
	case placeB:
		return inst.addReg(general(d.vvvv&15, d.generalSize(a.size, f), true))
	case placeE, placeM, placeRM:
		if isReg {
			return a.place != placeM && inst.addReg(general(d.rm(), d.generalSize(a.size, f), d.rex || d.enc != legacy))
		}
		return a.place != placeRM && d.addMem(inst, f, a)
	case placeMr:
		if isReg {
			return inst.addReg(Reg{Qword, d.rm()})
		}
		return d.addMem(inst, f, &argSpec{place: placeM, mem: '0'})
	case placeSeg:
		return inst.addReg(Reg{Segment, d.modrm >> 3 & 7})
	case placeControl:
		return inst.addReg(Reg{Control, d.reg()})
	case placeDebug:
		return inst.addReg(Reg{Debug, d.reg()})
	case placeTest:
		return inst.addReg(Reg{Test, d.modrm >> 3 & 7})
	case placeFloat:
		return inst.addReg(Reg{Float, d.modrm & 7})
	case placeBndReg:
		return inst.addReg(Reg{Bound, d.reg()})
	case placeBndRM:
		if isReg {
			return inst.addReg(Reg{Bound, d.rm()})
		}
		if d.mode == Mode64 {
			return d.addMem(inst, f, &argSpec{place: placeW, mem: 'o'})
		}
		return d.addMem(inst, f, &argSpec{place: placeW, mem: 'q'})
	case placeP:
		return inst.addReg(Reg{MMX, d.modrm >> 3 & 7})
	case placeQ:
		if isReg {
			return inst.addReg(Reg{MMX, d.modrm & 7})
		}
		return d.addMem(inst, f, a)
	}
	if a.place >= placeImm {
		return d.immediate(inst, f, a)
	}
	return d.vectorArg(inst, f, a, isReg)
}

func (d *decoder) vectorArg(inst *Inst, f *form, a *argSpec, isReg bool) bool {
	switch a.place {
	case placeV:
		return inst.addReg(vector(d.reg(), d.vectorSize(a.size, f)))
	case placeH:
		return inst.addReg(vector(d.vvvv, d.vectorSize(a.size, f)))
	case placeL:
		d.is4 = int(d.u8())
		n := uint8(d.is4 >> 4)
		if d.mode != Mode64 {
			n &= 7
		}
		return inst.addReg(vector(n, d.vectorSize(a.size, f)))
	case placeW:
		if isReg {
			return inst.addReg(vector(d.rmVector(), d.vectorSize(a.size, f)))
		}
		return d.addMem(inst, f, a)
	case placeVSIB:
		if isReg {
			return inst.addReg(general(d.rm(), sizeWords[a.mem].size, true))
		}
		if d.modrm&7 == 4 && d.addressSize() != 16 {
			n := d.mem.Index.Num | d.highIdx
			if d.mem.Index.Class == NoClass {
				n = 4 | d.highIdx
			}
			d.mem.Index = vector(n, d.vectorSize(a.size, f))
		}
		return d.addMem(inst, f, a)
	case placeKreg:
		return inst.addReg(Reg{Mask, d.modrm >> 3 & 7})
	case placeKv:
		return inst.addReg(Reg{Mask, d.vvvv & 7})
	case placeKrm:
		if isReg {
			return inst.addReg(Reg{Mask, d.rmVector()})
		}
		return d.addMem(inst, f, a)
	case placeTreg:
		return inst.addReg(Reg{Tile, d.reg() & 7})
	case placeTv:
		return inst.addReg(Reg{Tile, d.vvvv})
	case placeTrm:
		if isReg {
			return inst.addReg(Reg{Tile, d.rm()})
		}
		return d.addMem(inst, f, a)
	}
	return false
}

func (d *decoder) immediate(inst *Inst, f *form, a *argSpec) bool {
	osz := d.operandSize(f)
	imm := func(v uint64, bits int) bool {
		if bits < 64 {
			v &= 1<<bits - 1
		}
		return inst.add(Arg{Kind: ArgImm, Imm: v, Size: bits})
	}
	switch a.place {
	case placeImm:
		n := d.generalSize(a.size, f)
		return imm(d.uint(n), 8*n)
	case placeSigned:
		return imm(uint64(d.int(1)), osz)
	case placeImmZ:
		return imm(uint64(d.int(min(osz/8, 4))), osz)
	case placeNibble:
		if d.is4 < 0 {
			d.is4 = int(d.u8())
		}
		return imm(uint64(d.is4&3), 8)
	case placeCmp:
		return d.comparison(inst, imm)
	case placeHidden:
		d.u8()
		return true
	case placeConst:
		return imm(uint64(a.num), 8)
	case placeJump:
		n := 1
		switch {
		case a.size == 'v', a.size == 'z' && d.mode != Mode64:
			n = min(osz/8, 4)
		case a.size == 'z':
			n = 4 // 66 cuts the target, not the distance
		}
		return inst.add(Arg{Kind: ArgTarget, Imm: uint64(d.int(n))})
	case placeFar:
		offset := d.uint(min(osz/8, 4))
		return inst.add(Arg{Kind: ArgFar, Imm: offset, Size: osz, Selector: uint16(d.uint(2))})
	}
	return d.implied(inst, f, a)
}

// implied decodes memory operands that no ModRM byte describes.
func (d *decoder) implied(inst *Inst, f *form, a *argSpec) bool {
	n := d.generalSize(a.size, f)
	m := Mem{Scale: 1, Size: n, Word: map[int]string{1: "byte", 2: "word", 4: "dword", 8: "qword"}[n], Segment: d.segment}
	class := map[int]RegClass{16: Word, 32: Dword, 64: Qword}[d.addressSize()]
	switch a.place {
	case placeMoffs:
		m.Disp = int64(d.uint(d.addressSize() / 8))
		m.Offset = true
	case placeSource:
		m.Base, m.text = Reg{class, rsi.Num}, true
		inst.rep = d.rep != 0
	case placeDest:
		m.Base, m.text = Reg{class, rdi.Num}, true
		m.Segment = Reg{}
		if d.mode != Mode64 {
			m.Segment = es
		}
		inst.rep = d.rep != 0
	case placeXlat:
		m.Base, m.Size, m.Word = Reg{class, rbx.Num}, 1, "byte"
	default:
		return false
	}
	return inst.add(Arg{Kind: ArgMem, Mem: m})
}

var predicates = [...]string{
	"eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord", "eq_uq", "nge", "ngt", "false", "neq_oq", "ge", "gt", "true",
	"eq_os", "lt_oq", "le_oq", "unord_s", "neq_us", "nlt_uq", "nle_uq", "ord_s", "eq_us", "nge_uq", "ngt_uq", "false_os",
	"neq_os", "ge_oq", "gt_oq", "true_us",
}

// comparison puts the predicate of cmpps and its relatives into the mnemonic.
func (d *decoder) comparison(inst *Inst, imm func(uint64, int) bool) bool {
	p := d.u8()
	known := 8
	if d.enc == vex {
		known = len(predicates)
	}
	if d.enc == evex || int(p) >= known {
		if m := &inst.args[2]; d.enc == vex && inst.nargs == 3 && m.Kind == ArgMem && m.Mem.Size < 16 {
			m.Mem.Word, m.Mem.Size = "xmmword", 16 // so it is with a bare number
		}
		return imm(uint64(p), 8)
	}
	stem, suffix, _ := strings.Cut(inst.Mnemonic, "cmp")
	inst.Mnemonic = stem + "cmp" + predicates[p] + suffix
	return true
}

// prefixWords sets the words that are printed for prefixes which did not
// select the instruction.
func (d *decoder) prefixWords(inst *Inst, f *form) {
	var words []string
	free := d.rep != 0 && (f.prefix == anyPrefix || f.prefix == noPrefix)
	elided := f.flags&flagHLE != 0
	switch {
	case free && d.lock && d.rep == 0xf2:
		words = append(words, choose(elided, "xacquire lock", "repne lock"))
	case free && d.lock:
		words = append(words, choose(elided || f.flags&flagMov != 0, "xrelease lock", "repe lock"))
	case d.lock:
		words = append(words, "lock")
	case free && d.rep == 0xf2:
		words = append(words, choose(f.flags&flagBnd != 0, "bnd", choose(elided, "xacquire", "repne")))
	case free:
		words = append(words, choose(f.flags&flagRepe != 0, "repe", "rep"))
	}
	if f.flags&flagVexWord != 0 {
		words = append(words, "vex")
	}
	hinted := f.flow == Branch || f.flow == Jump && inst.nargs > 0 && inst.args[0].Kind == ArgTarget
	switch {
	case hinted && d.segment == cs:
		words = append(words, "hnt")
	case hinted && d.segment == ds:
		words = append(words, "ht")
	}
	inst.Prefix = strings.Join(words, " ")
}

func choose(c bool, yes, no string) string {
	if c {
		return yes
	}
	return no
}
