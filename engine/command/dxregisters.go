package command

import (
	"context"
	"encoding/binary"
	"math"
	"math/big"
	"strconv"
	"strings"

	"kdap/engine/arch"
	"kdap/engine/arch/amd64"
	"kdap/engine/model"
)

// The registers in the order of the data model's groups.
var (
	userRegisters = strings.Fields("rax rbx rcx rdx rsi rdi rsp rbp rip efl cs ds es fs gs ss r8 r9 r10 r11 r12 r13 r14 r15 " +
		"dr0 dr1 dr2 dr3 dr6 dr7 exfrom exto brfrom brto eax ecx edx ebx esp ebp esi edi r8d r9d r10d r11d r12d r13d r14d r15d eip " +
		"ax cx dx bx sp bp si di r8w r9w r10w r11w r12w r13w r14w r15w ip fl al cl dl bl spl bpl sil dil " +
		"r8b r9b r10b r11b r12b r13b r14b r15b ah ch dh bh iopl of df if tf sf zf af pf cf vip vif")
	kernelRegisters = strings.Fields("cr0 cr2 cr3 cr4 cr8 gdtr gdtl idtr idtl tr ldtr kmxcsr kdr0 kdr1 kdr2 kdr3 kdr6 kdr7 xcr0")
)

// registers is the object of a thread's registers.
func (h *modelHost) registers(get registersOf) *model.Object {
	group := func(name string, members func(regs *amd64.Context) []model.Member) model.Member {
		return model.Lazily(name, func(ctx context.Context) (model.Value, error) {
			all, err := get(ctx)
			if err != nil {
				return nil, model.SystemError(model.Fail)
			}
			regs := amd64Part(all)
			if regs == nil {
				return model.NewObject(), nil
			}
			return model.NewObject(members(regs)...), nil
		})
	}
	return model.NewObject(
		model.Lazily("User", func(ctx context.Context) (model.Value, error) {
			regs, err := get(ctx)
			if err != nil || regs == nil {
				return nil, model.SystemError(model.Fail)
			}
			if c := amd64Part(regs); c != nil && !x86Code(regs) {
				return model.NewObject(h.numbered(userRegisters, c)...), nil
			}
			return model.NewObject(otherRegisters(regs)...), nil
		}),
		group("Kernel", func(regs *amd64.Context) []model.Member { return h.numbered(kernelRegisters, regs) }),
		group("SIMD", simdRegisters),
		group("FloatingPoint", floatRegisters),
		group("CET", func(*amd64.Context) []model.Member {
			return []model.Member{model.Property("ssp", model.U64(0)), model.Property("cetumsr", model.U64(0))}
		}),
	)
}

// otherNames are the registers of the other machines, in their order.
var otherNames = strings.Fields("x0 x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11 x12 x13 x14 x15 x16 x17 x18 x19 x20 x21 x22 x23 x24 x25 x26 x27 x28 " +
	"fp lr sp pc cpsr gs fs es ds edi esi ebx edx ecx eax ebp eip cs efl esp ss dr0 dr1 dr2 dr3 dr6 dr7")

// otherRegisters makes properties of those that the machine has.
func otherRegisters(regs arch.Registers) []model.Member {
	var out []model.Member
	for _, name := range otherNames {
		if v, _, ok := regs.Get(name); ok {
			out = append(out, model.Property(name, model.U64(v)))
		}
	}
	return out
}

// numbered makes properties of registers by their names; what a dump does not
// hold is 0.
func (h *modelHost) numbered(names []string, regs *amd64.Context) []model.Member {
	var out []model.Member
	for _, name := range names {
		v, _, ok := regs.Get(name)
		switch {
		case ok:
		case name == "exfrom":
			v = regs.LastExceptionFromRip
		case name == "exto":
			v = regs.LastExceptionToRip
		case name == "brfrom":
			v = regs.LastBranchFromRip
		case name == "brto":
			v = regs.LastBranchToRip
		case name == "fl":
			v = uint64(uint16(regs.EFlags))
		default:
			v, _ = h.s.specialRegister(name)
		}
		out = append(out, model.Property(name, model.U64(v)))
	}
	return out
}

// simdRegisters are the vector registers: whole, by halves, by quarters.
func simdRegisters(regs *amd64.Context) []model.Member {
	var out []model.Member
	add := func(name string, v model.Value) { out = append(out, model.Property(name, v)) }
	for i := range regs.ST {
		add("mm"+strconv.Itoa(i), model.U64(binary.LittleEndian.Uint64(regs.ST[i][:])))
	}
	add("mxcsr", model.U64(uint64(regs.MXCSR)))
	for i := range regs.XMM {
		text := vectorText("xmm"+strconv.Itoa(i), regs.XMM[i][:])
		add("xmm"+strconv.Itoa(i), model.NewObject().WithText(text))
	}
	for half, letter := range []string{"l", "h"} {
		for i := range regs.XMM {
			add("xmm"+strconv.Itoa(i)+letter, model.U64(binary.LittleEndian.Uint64(regs.XMM[i][8*half:])))
		}
	}
	for quarter := range 4 {
		for i := range regs.XMM {
			v := binary.LittleEndian.Uint32(regs.XMM[i][4*quarter:])
			add("xmm"+strconv.Itoa(i)+"/"+strconv.Itoa(quarter), model.U64(uint64(v)))
		}
	}
	return out
}

func floatRegisters(regs *amd64.Context) []model.Member {
	out := []model.Member{
		model.Property("fpcw", model.U64(uint64(regs.FPControl))),
		model.Property("fpsw", model.U64(uint64(regs.FPStatus))),
		model.Property("fptw", model.U64(uint64(regs.FPTag))),
	}
	for i := range regs.ST {
		out = append(out, model.Property("st"+strconv.Itoa(i), model.Number{Kind: model.Double, Bits: math.Float64bits(x87Float(regs.ST[i][:]))}))
	}
	return out
}

// x87Float converts an 80-bit float to a double.
func x87Float(b []byte) float64 {
	mantissa, se := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint16(b[8:])
	exp := int(se & 0x7fff)
	if exp == 0x7fff {
		if mantissa<<1 == 0 {
			return math.Inf(1 - 2*int(se>>15))
		}
		return math.NaN()
	}
	f := new(big.Float).SetPrec(64).SetUint64(mantissa)
	if mantissa != 0 {
		f.SetMantExp(f, max(exp, 1)-floatBias-floatMantissa)
	}
	v, _ := f.Float64()
	if se&0x8000 != 0 {
		return -v
	}
	return v
}
