package command

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"kdap/engine/arch/arm64"
	"kdap/engine/expr"
	"kdap/engine/format"
)

// arm64Machine is the machine of ARM64 code.
const arm64Machine = "arm64"

// arm64Registers returns the register context of ARM64 code, nil for that of
// other machines.
func (s *Session) arm64Registers() *arm64.Context {
	c, _ := s.scope.regs.(*arm64.Context)
	return c
}

// arm64Register finds a register for the evaluators.
func (s *Session) arm64Register(name string) (r expr.Register, ok bool) {
	regs, err := s.namedRegisters()
	c, isARM := regs.(*arm64.Context)
	if err != nil || !isARM {
		return r, false
	}
	v, _, ok := c.Get(name)
	return expr.Register{Bits: v}, ok
}

// maskDebugARM64 is the debug registers' bit in the masks of ARM64.
const maskDebugARM64 registerMask = 0x8

// maskLinesARM64 are the lines of rm on a dump of an ARM64 system.
var maskLinesARM64 = []maskLine{
	{maskInteger32, "       1 - Integer state (32-bit) or"},
	{maskInteger64, "       2 - Integer state (64-bit)"},
	{maskFloat, "       4 - Floating-point state"},
	{maskXMM, "      40 - NEON registers"},
	{maskDebugARM64, "       8 - Debug registers"},
}

// runARM64Registers is r on a dump of an ARM64 system.
func (s *Session) runARM64Registers(ctx context.Context, c *expr.Cursor, regs *arm64.Context, mask registerMask) error {
	if s.scope.set {
		s.printf("Last set context:\n")
	}
	if c.Done() {
		s.showRegisters(ctx, regs, mask)
		return nil
	}
	for first := true; ; first = false {
		if !first {
			s.printf(" ")
		}
		name := registerName(c)
		text, ok := floatARM64(regs, name)
		if v, bits, general := regs.Get(name); general {
			text, ok = hexDigits(v, bits/4), true
		}
		if strings.HasPrefix(name, "$") {
			text, ok = s.registerText(name, mask)
		}
		if !ok {
			return expr.Caret("Bad register error", c.Pos)
		}
		s.printf("%s=%s", shownName(name), text)
		c.SkipBlanks()
		if !c.Accept(",") {
			s.printf("\n")
			return nil
		}
	}
}

// Digits and widths of floating-point registers.
const (
	doubleDigits, doubleWidth = 12, 22
	singleDigits, singleWidth = 6, 12
)

// floatARM64 is the text of a vector register as a double (d0), a float (s0)
// or four floats (q0).
func floatARM64(c *arm64.Context, name string) (string, bool) {
	if name == "" || strings.IndexByte("dsq", name[0]) < 0 {
		return "", false
	}
	n, err := strconv.ParseUint(name[1:], 10, 8)
	if err != nil || n >= uint64(len(c.V)) || name[1:] != strconv.FormatUint(n, 10) {
		return "", false
	}
	b := c.V[n][:]
	single := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
	singleText := func(i int) string { return format.G(float64(math.Float32frombits(single(i))), singleDigits) }
	switch name[0] {
	case 'd':
		v := binary.LittleEndian.Uint64(b)
		return fmt.Sprintf("%*s (%x:%03x:%013x)", doubleWidth, format.G(math.Float64frombits(v), doubleDigits), v>>63, v>>52&0x7ff, v&(1<<52-1)), true
	case 's':
		v := single(0)
		return fmt.Sprintf("%*s (%x:%03x:%06x)", doubleWidth, singleText(0), v>>31, v>>23&0xff, v&(1<<23-1)), true
	}
	parts := make([]string, 4)
	for i := range parts {
		parts[i] = fmt.Sprintf("%*s", singleWidth, singleText(len(parts)-1-i))
	}
	return strings.Join(parts, " "), true
}

// showARM64 prints the groups of a mask.
func (s *Session) showARM64(c *arm64.Context, mask registerMask) {
	if mask&(maskInteger32|maskInteger64) != 0 {
		for i, v := range c.X {
			end := "  "
			if i%4 == 3 {
				end = "\n"
			}
			s.printf("%3s=%016x%s", fmt.Sprintf("x%d", i), v, end)
		}
		s.printf(" fp=%016x   lr=%016x   sp=%016x\n pc=%016x  psr=%08x %s\n", c.FP, c.LR, c.SP, c.PC, c.CPSR, c.Flags())
	}
	if mask&maskFloat != 0 {
		s.printf("\n")
		for i := 0; i < len(c.V); i += 2 {
			value := func(n int) string {
				return format.G(math.Float64frombits(binary.LittleEndian.Uint64(c.V[n][:])), doubleDigits)
			}
			s.printf("%3s=%*s  %3s=%*s\n", fmt.Sprintf("d%d", i), doubleWidth, value(i), fmt.Sprintf("d%d", i+1), doubleWidth, value(i+1))
		}
	}
	if mask&maskDebugARM64 != 0 {
		s.printf("\n")
		for i := range 2 { // as many as the debugger shows
			s.printf("kbvr[%d] =%016x  kbcr[%d] =%08x\n", i, c.BVR[i], i, c.BCR[i])
		}
		s.printf("kwvr[0] =%016x  kwcr[0] =%08x\n", c.WVR[0], c.WCR[0])
	}
}
