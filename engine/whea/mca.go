package whea

import "fmt"

// MachineCheck names the error that the low 16 bits of an MCi_STATUS register
// tell, in the mnemonics of Intel's manual ("DCACHEL1_RD_ERR").
func MachineCheck(status uint64) string {
	code := status & 0xffff
	plain := code &^ 0x1000 // bit 12: filtered reports
	switch plain {
	case 0:
		return "NO_ERROR"
	case 1:
		return "UNCLASSIFIED"
	case 2:
		return "MICROCODE_ROM_PARITY_ERROR"
	case 3:
		return "EXTERNAL_ERROR"
	case 4:
		return "FRC_ERROR"
	case 5:
		return "INTERNAL_PARITY_ERROR"
	case 6:
		return "SMM_HANDLER_CODE_ACCESS_VIOLATION"
	case 0x400:
		return "INTERNAL_TIMER_ERROR"
	}
	kind := [...]string{"I", "D", "G", "?"}[plain>>2&3]
	level := fmt.Sprintf("L%d", plain&3)
	if plain&3 == 3 {
		level = "LG"
	}
	switch {
	case plain&0xfffc == 0x000c:
		return "CACHE" + level + "_ERR"
	case plain&0xfff0 == 0x0010:
		return kind + "TLB" + level + "_ERR"
	case plain&0xff80 == 0x0080:
		return fmt.Sprintf("%s_CHANNEL%s_ERR", memoryOperations[plain>>4&7], channel(plain&15))
	case plain&0xff00 == 0x0100:
		return kind + "CACHE" + level + "_" + requests[plain>>4&15] + "_ERR"
	case plain&0xf800 == 0x0800:
		timeout := "NOTIMEOUT"
		if plain>>8&1 != 0 {
			timeout = "TIMEOUT"
		}
		return fmt.Sprintf("BUS%s_%s_%s_%s_%s_ERR", level, [...]string{"SRC", "RES", "OBS", "GEN"}[plain>>9&3],
			requests[plain>>4&15], [...]string{"M", "RESERVED", "IO", "OTHER"}[plain>>2&3], timeout)
	case plain&0xfc00 == 0x0400:
		return "INTERNAL_UNCLASSIFIED"
	}
	return fmt.Sprintf("UNKNOWN_%04x", code)
}

var memoryOperations = [8]string{"GEN", "RD", "WR", "AC", "MS", "RESERVED5", "RESERVED6", "RESERVED7"}

func channel(n uint64) string {
	if n == 15 {
		return "_UNSPECIFIED"
	}
	return fmt.Sprint(n)
}

var requests = [16]string{
	"ERR", "RD", "WR", "DRD", "DWR", "IRD", "PREFETCH", "EVICT", "SNOOP",
	"RESERVED9", "RESERVED10", "RESERVED11", "RESERVED12", "RESERVED13", "RESERVED14", "RESERVED15",
}
