package command

import (
	"fmt"
	"strconv"
	"strings"
)

func decimal(v int64) string { return strconv.FormatInt(v, 10) }

func twoDigits(v int) string { return fmt.Sprintf("%02d", v) }

// pointer spells an address as structures show it: 16 digits, a null pointer
// as 00000000.
func pointer(v uint64) string { return fmt.Sprintf("%08x", v) }

// sharpHex spells a number of 32 bits as C's %#010x does: 0 has no prefix.
func sharpHex(v uint64) string {
	if v == 0 {
		return "0000000000"
	}
	return fmt.Sprintf("0x%08x", v)
}

func joinNames(names []string) string { return strings.Join(names, " ") }
