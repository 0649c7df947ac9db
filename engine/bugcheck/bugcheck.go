// Package bugcheck knows the bug checks of Windows: their names and what their
// parameters mean.
//
// Names and meanings follow Microsoft's public documentation ("Bug Check Code
// Reference"), in words of our own: bugchecks.json has names and parameters,
// descriptions.txt what a bug check means, statuses.txt the names of NTSTATUS
// values that parameters hold. The tables are decoded on first use.
package bugcheck

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
)

//go:embed bugchecks.json
var tableJSON []byte

//go:embed descriptions.txt
var descriptionText string

// A Code describes one bug check.
type Code struct {
	Code        uint32
	Name        string
	Description string   // in a sentence or two, "" where nothing is known
	Params      []string // meaning of each parameter, "" where nothing is known; may be short
}

// Dumps that no crash made carry these codes: a live dump, and tools that write
// the memory of a running system.
const (
	Manual = 0xe2
	Live   = 0x161
	DumpIt = 0x5454414d // "MATT"
	triage = 0x10000000 // set in the code of a minidump
)

var table = sync.OnceValue(func() map[uint32]Code {
	var entries []struct {
		Code   string
		Name   string
		Params []string
	}
	if err := json.Unmarshal(tableJSON, &entries); err != nil {
		panic("bugcheck: embedded table: " + err.Error()) // a bug of ours, caught by the package's test
	}
	m := make(map[uint32]Code, len(entries))
	descriptions := lines("descriptions.txt", descriptionText)
	for _, e := range entries {
		v, err := strconv.ParseUint(e.Code, 0, 32)
		if err != nil {
			panic("bugcheck: embedded table: " + err.Error())
		}
		c := Code{Code: uint32(v), Name: e.Name, Params: e.Params, Description: descriptions[uint32(v)]}
		if c.Description == "" {
			c.Description = descriptions[c.Code&^triage]
		}
		m[c.Code] = c
	}
	return m
})

// Lookup returns what is known of a code. Codes that minidumps mark with
// 0x10000000 are found without the mark when they have no entry of their own.
func Lookup(code uint32) (Code, bool) {
	if c, ok := table()[code]; ok {
		return c, true
	}
	c, ok := table()[code&^triage]
	return c, ok
}

// Name returns the code's name, or its number in hexadecimal.
func Name(code uint32) string {
	if c, ok := Lookup(code); ok {
		return c.Name
	}
	return fmt.Sprintf("0x%X", code)
}
