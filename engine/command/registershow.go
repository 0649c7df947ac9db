package command

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"kdap/engine/arch"
	"kdap/engine/arch/amd64"
	"kdap/engine/arch/arm64"
	"kdap/engine/expr"
)

// A registerMask says which groups of registers r shows.
type registerMask uint32

// The groups, numbered as rm and rM do.
const (
	maskInteger32  registerMask = 0x1
	maskInteger64  registerMask = 0x2
	maskFloat      registerMask = 0x4
	maskSegments   registerMask = 0x8
	maskMMX        registerMask = 0x10
	maskDebug      registerMask = 0x20
	maskXMM        registerMask = 0x40
	maskControl    registerMask = 0x80
	maskDescriptor registerMask = 0x100
	maskYMM        registerMask = 0x200
	maskYMMInteger registerMask = 0x400
	maskXMMInteger registerMask = 0x800
	maskZMM        registerMask = 0x1000
	maskZMMInteger registerMask = 0x2000
	maskOpmask     registerMask = 0x4000
	maskShadow     registerMask = 0x8000
	maskTiles      registerMask = 0x10000

	maskAll     = maskTiles<<1 - 1
	maskDefault = maskInteger64 | maskSegments
)

// A maskLine is a line of rm.
type maskLine struct {
	mask registerMask
	text string
}

// maskLines are the lines of rm, in its order.
var maskLines = []maskLine{
	{maskInteger32, "       1 - Integer state (32-bit) or"},
	{maskInteger64, "       2 - Integer state (64-bit)"},
	{maskFloat, "       4 - Floating-point state"},
	{maskSegments, "       8 - Segment registers"},
	{maskMMX, "      10 - MMX registers"},
	{maskDebug, "      20 - Debug registers and, in kernel, CR4"},
	{maskXMM, "      40 - SSE XMM registers"},
	{maskYMM, "     200 - AVX YMM registers"},
	{maskYMMInteger, "     400 - AVX YMM Integer registers"},
	{maskXMMInteger, "     800 - AVX XMM Integer registers"},
	{maskZMM, "    1000 - AVX-512 ZMM registers"},
	{maskZMMInteger, "    2000 - AVX-512 ZMM Integer registers"},
	{maskOpmask, "    4000 - AVX-512 Opmask registers"},
	{maskShadow, "    8000 - Shadow Stack Registers"},
	{maskTiles, "    10000 - AMX registers"},
	{maskControl, "      80 - CR0, CR2 and CR3"},
	{maskDescriptor, "     100 - Descriptor and task state"},
}

// maskLines are the lines of rm for the machine of the dump.
func (s *Session) maskLines() []maskLine {
	if s.ownMachine() == arm64Machine {
		return maskLinesARM64
	}
	return maskLines
}

// maskBits are the groups that the dump has.
func (s *Session) maskBits() registerMask {
	var all registerMask
	for _, l := range s.maskLines() {
		all |= l.mask
	}
	return all & s.debuggee.registerMasks()
}

// runMask is rm.
func (s *Session) runMask(c *expr.Cursor) error {
	show := func(mask registerMask) {
		for _, l := range s.maskLines() {
			if mask&l.mask == 0 {
				continue
			}
			s.printf("%s", l.text)
			if l.mask == maskInteger64 && mask&maskInteger32 != 0 {
				s.printf(", 64-bit takes precedence")
			}
			s.printf("\n")
		}
	}
	switch {
	case c.Done():
		s.printf("Register output mask is %x:\n", s.settings.regMask)
		show(s.settings.regMask)
		return nil
	case c.Accept("?"):
		show(s.maskBits())
		return nil
	}
	v, err := s.number(c)
	if err != nil {
		return err
	}
	s.settings.regMask = s.validMask(v)
	return nil
}

// validMask drops the bits that stand for nothing, and says so.
func (s *Session) validMask(v uint64) registerMask {
	all := s.maskBits()
	if bad := uint32(v) &^ uint32(all); bad != 0 {
		s.printf("Ignored invalid bits %x\n", bad)
	}
	return registerMask(v) & all
}

// showRegisters prints the groups of registers and the current instruction.
func (s *Session) showRegisters(ctx context.Context, regs arch.Registers, mask registerMask) {
	if c, ok := regs.(*arm64.Context); ok {
		s.showARM64(c, mask)
	} else if c := amd64Part(regs); c != nil {
		s.showAMD64(c, mask)
	}
	s.printInstruction(ctx, regs)
}

// showAMD64 shows the registers of x64 and x86 code.
func (s *Session) showAMD64(regs *amd64.Context, mask registerMask) {
	x86 := s.machine() == x86Machine
	if x86 && s.contextMachine() != x86Machine && s.debuggee.kernelMode() {
		s.printf("The context is partially valid. Only x86 user-mode context is available.\n")
	}
	if mask&(maskInteger32|maskInteger64) != 0 {
		if x86 {
			s.showX86(regs)
		} else {
			s.showIntegers(regs)
		}
	}
	if mask&maskSegments != 0 {
		s.printSelectors(regs)
	}
	if mask&maskFloat != 0 {
		s.showFloats(regs)
	}
	if mask&maskMMX != 0 {
		for i := range regs.ST {
			end := "  "
			if i%2 == 1 {
				end = "\n"
			}
			s.printf("mm%d=%016x%s", i, binary.LittleEndian.Uint64(regs.ST[i][:8]), end)
		}
	}
	s.showVectors(regs, mask)
	s.showSystem(regs, mask)
}

func (s *Session) showIntegers(c *amd64.Context) {
	g := &c.GPR
	s.printf("rax=%016x rbx=%016x rcx=%016x\n", g[amd64.RAX], g[amd64.RBX], g[amd64.RCX])
	s.printf("rdx=%016x rsi=%016x rdi=%016x\n", g[amd64.RDX], g[amd64.RSI], g[amd64.RDI])
	s.printf("rip=%016x rsp=%016x rbp=%016x\n", c.RIP, g[amd64.RSP], g[amd64.RBP])
	s.printf(" r8=%016x  r9=%016x r10=%016x\n", g[amd64.R8], g[amd64.R9], g[amd64.R10])
	s.printf("r11=%016x r12=%016x r13=%016x\n", g[amd64.R11], g[amd64.R12], g[amd64.R13])
	s.printf("r14=%016x r15=%016x\n", g[amd64.R14], g[amd64.R15])
	s.printf("%s\n", flagsText(c.EFlags))
}

// flagsText writes the flags by name. The words for parity are the wrong way
// round, as the debugger has them.
func flagsText(efl uint32) string {
	word := func(bit uint, set, clear string) string {
		if efl>>bit&1 != 0 {
			return set
		}
		return clear
	}
	return fmt.Sprintf("iopl=%x %3s %3s %s %s %s %s %s %s %s %s", efl>>12&3,
		word(20, "vip", ""), word(19, "vif", ""),
		word(11, "ov", "nv"), word(10, "dn", "up"), word(9, "ei", "di"), word(7, "ng", "pl"),
		word(6, "zr", "nz"), word(4, "ac", "na"), word(2, "po", "pe"), word(0, "cy", "nc"))
}

// shortDigits is how many decimals rF shows.
const shortDigits = 21

func (s *Session) showFloats(c *amd64.Context) {
	s.printf("fpcw=%04X    fpsw=%04X    fptw=%04X\n", c.FPControl, c.FPStatus, c.FPTag)
	for i := range c.ST {
		end := "  "
		if i%2 == 1 {
			end = "\n"
		}
		s.printf("st%d=%s%s", i, x87Text(c.ST[i][:], shortDigits), end)
	}
}

// showVectors prints the vector groups. A CONTEXT holds the lower 128 bits of
// the first 16 registers; the rest is shown as zero.
func (s *Session) showVectors(c *amd64.Context, mask registerMask) {
	rows := func(name string, count, bytes int, integer bool) {
		for i := range count {
			b := make([]byte, bytes)
			if i < len(c.XMM) {
				copy(b, c.XMM[i][:])
			}
			s.printf("%s%d=%s\n", name, i, vectorRow(b, integer))
		}
	}
	for _, g := range []struct {
		mask         registerMask
		name         string
		count, bytes int
		integer      bool
	}{
		{maskXMM, "xmm", 16, 16, false},
		{maskXMMInteger, "xmm", 16, 16, true},
		{maskYMM, "ymm", 16, 32, false},
		{maskYMMInteger, "ymm", 16, 32, true},
		{maskZMM, "zmm", 32, 64, false},
		{maskZMMInteger, "zmm", 32, 64, true},
	} {
		if mask&g.mask != 0 {
			rows(g.name, g.count, g.bytes, g.integer)
		}
	}
	if mask&maskOpmask != 0 {
		for i := range 8 {
			s.printf("k%d=%016x\n", i, 0)
		}
	}
	if mask&maskShadow != 0 {
		s.printf("ssp=%016x cetumsr=%016x\n", 0, 0)
	}
	if mask&maskTiles != 0 {
		s.printf("tilecfg = palette: 0, start_row: 0")
		for i := range 8 {
			s.printf(", tile%d: 0 x 0", i)
		}
		s.printf("\n")
		for i := range 8 {
			s.printf("tmm%d: <tile config has no rows>\n", i)
		}
	}
}

// vectorRow writes the elements of a vector register without padding, the
// highest first: floats, or quadwords with a blank before each.
func vectorRow(b []byte, integer bool) string {
	if !integer {
		return strings.Join(strings.Fields(element{'f', 4}.format(b)), " ")
	}
	var out strings.Builder
	for at := len(b) - 8; at >= 0; at -= 8 {
		out.WriteString(" " + strconv.FormatUint(binary.LittleEndian.Uint64(b[at:]), 16))
	}
	return out.String()
}

// showSystem prints control, debug and descriptor registers: always the
// processor's own.
func (s *Session) showSystem(c *amd64.Context, mask registerMask) {
	value := func(name string) uint64 {
		v, _ := s.specialRegister(name)
		return v
	}
	if mask&maskControl != 0 {
		s.printf("cr0=%016x cr2=%016x cr3=%016x\ncr8=%016x\n", value("cr0"), value("cr2"), value("cr3"), value("cr8"))
	}
	if mask&maskDebug != 0 {
		s.printf("dr0=%016x dr1=%016x dr2=%016x\ndr3=%016x dr6=%016x dr7=%016x cr4=%016x\n",
			c.DR0, c.DR1, c.DR2, c.DR3, c.DR6, c.DR7, value("cr4"))
		s.printf("kdr0=%016x kdr1=%016x kdr2=%016x\nkdr3=%016x kdr6=%016x kdr7=%016x\n",
			value("kdr0"), value("kdr1"), value("kdr2"), value("kdr3"), value("kdr6"), value("kdr7"))
	}
	if mask&maskDescriptor != 0 {
		s.printf("gdtr=%016x   gdtl=%04x idtr=%016x   idtl=%04x tr=%04x  ldtr=%04x\n",
			value("gdtr"), value("gdtl"), value("idtr"), value("idtl"), value("tr"), value("ldtr"))
	}
}
