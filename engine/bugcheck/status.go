package bugcheck

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

//go:embed statuses.txt
var statusText string

// lines yields the lines of an embedded table: a number in hexadecimal, a
// blank, and what belongs to it. Lines that begin with # are comments.
func lines(table, text string) map[uint32]string {
	m := map[uint32]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		number, rest, _ := strings.Cut(line, " ")
		v, err := strconv.ParseUint(number, 16, 32)
		if err != nil {
			panic("bugcheck: embedded " + table + ": " + err.Error()) // a bug of ours, caught by the package's test
		}
		m[uint32(v)] = strings.TrimSpace(rest)
	}
	return m
}

var statuses = sync.OnceValue(func() map[uint32]string { return lines("statuses.txt", statusText) })

// StatusName returns the name of an NTSTATUS ("STATUS_ACCESS_VIOLATION"), ""
// for one that is not known.
func StatusName(status uint32) string { return statuses()[status] }
