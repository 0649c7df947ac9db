package pdb

import "fmt"

// CodeView register numbers that frames are relative to.
const (
	RegEBX     = 20
	RegESP     = 21
	RegEBP     = 22
	RegRBP     = 334
	RegRSP     = 335
	RegR13     = 341
	RegVFrame  = 30006 // x86: the frame that FPO data describes
	RegARM64FP = 79
	RegARM64SP = 81
)

// regRuns are consecutive registers from a number on.
type regRun struct {
	first uint16
	names []string
}

var x86Regs = []regRun{
	{1, []string{"al", "cl", "dl", "bl", "ah", "ch", "dh", "bh", "ax", "cx", "dx", "bx", "sp", "bp", "si", "di"}},
	{17, []string{"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "es", "cs", "ss", "ds", "fs", "gs", "ip", "flags", "eip", "efl"}},
	{RegVFrame, []string{"vframe"}},
}

var amd64Regs = append([]regRun{
	{324, []string{"sil", "dil", "bpl", "spl", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"}},
}, x86Regs...)

// RegName returns the name of a CodeView register: "rsp", "xmm6", "x19".
func RegName(machine, reg uint16) string {
	runs := x86Regs
	switch machine {
	case 0xaa64:
		return arm64Reg(reg)
	case 0x8664:
		runs = amd64Regs
		switch {
		case reg >= 336 && reg < 344:
			return fmt.Sprintf("r%d", reg-336+8)
		case reg >= 344 && reg < 352:
			return fmt.Sprintf("r%db", reg-344+8)
		case reg >= 352 && reg < 360:
			return fmt.Sprintf("r%dw", reg-352+8)
		case reg >= 360 && reg < 368:
			return fmt.Sprintf("r%dd", reg-360+8)
		case reg >= 368 && reg < 384:
			return fmt.Sprintf("ymm%d", reg-368)
		case reg >= 252 && reg < 260:
			return fmt.Sprintf("xmm%d", reg-252+8)
		case reg >= 260 && reg < 292:
			return fmt.Sprintf("xmm%d_%d", (reg-260)/4+8, (reg-260)%4)
		case reg >= 292 && reg < 300:
			return fmt.Sprintf("xmm%dl", reg-292+8)
		case reg >= 300 && reg < 308:
			return fmt.Sprintf("xmm%dh", reg-300+8)
		}
	}
	switch {
	case reg >= 128 && reg < 136:
		return fmt.Sprintf("st%d", reg-128)
	case reg >= 146 && reg < 154:
		return fmt.Sprintf("mm%d", reg-146)
	case reg >= 154 && reg < 162:
		return fmt.Sprintf("xmm%d", reg-154)
	case reg >= 162 && reg < 194: // 32-bit parts
		return fmt.Sprintf("xmm%d_%d", (reg-162)/4, (reg-162)%4)
	case reg >= 194 && reg < 202: // low half
		return fmt.Sprintf("xmm%dl", reg-194)
	case reg >= 202 && reg < 210:
		return fmt.Sprintf("xmm%dh", reg-202)
	}
	for _, r := range runs {
		if reg >= r.first && int(reg-r.first) < len(r.names) {
			return r.names[reg-r.first]
		}
	}
	return fmt.Sprintf("reg%d", reg)
}

func arm64Reg(reg uint16) string {
	switch {
	case reg >= 10 && reg < 41:
		return fmt.Sprintf("w%d", reg-10)
	case reg == 41:
		return "wzr"
	case reg >= 50 && reg < 79:
		return fmt.Sprintf("x%d", reg-50)
	case reg == RegARM64FP:
		return "fp"
	case reg == 80:
		return "lr"
	case reg == RegARM64SP:
		return "sp"
	case reg == 82:
		return "zr"
	case reg >= 100 && reg < 132:
		return fmt.Sprintf("s%d", reg-100)
	case reg >= 140 && reg < 172:
		return fmt.Sprintf("d%d", reg-140)
	case reg >= 180 && reg < 212:
		return fmt.Sprintf("q%d", reg-180)
	}
	return fmt.Sprintf("reg%d", reg)
}
