package analyze

import (
	"fmt"
	"strings"

	"kdap/engine/bugcheck"
)

// A BugCheck is what is known of a code with its parameters.
type BugCheck struct {
	Code        uint32 // as the dump has it
	Name        string
	Description []string // lines
	Args        [4]Arg
}

// An Arg is a parameter with its meaning, "" where none is known.
type Arg struct {
	Value   uint64
	Meaning string
}

// markOfMinidumps is set in the codes that some dumps hold for those without it.
const markOfMinidumps = 0x10000000

// Plain is the code without the mark that minidumps add.
func (b BugCheck) Plain() uint32 {
	if known, ok := bugcheck.Lookup(b.Code); ok && known.Code == b.Code && b.Code>>28 != 1 {
		return b.Code // the status codes that are bug checks, too, use the bit
	}
	return b.Code &^ markOfMinidumps
}

// Deliberate tells that a person asked for the crash, so that its context does
// not show what was wrong.
func (b BugCheck) Deliberate() bool {
	switch b.Plain() {
	case bugcheck.Manual, powerButtonHold, manualAgain:
		return true
	}
	return false
}

const (
	powerButtonHold = 0x1c8
	manualAgain     = 0xdeaddead
)

// Recorded tells that the dump was made by a bug check, not by a tool of a
// running system.
func (b BugCheck) Recorded() bool {
	return b.Code != 0 && b.Code != bugcheck.Live && b.Code != bugcheck.DumpIt
}

// Describe says what a code with its parameters means.
func Describe(code uint32, params [4]uint64) BugCheck {
	b := BugCheck{Code: code, Name: bugcheck.Name(code)}
	known, _ := bugcheck.Lookup(code)
	if plain, ok := bugcheck.Lookup(b.Plain()); ok {
		b.Name, known = plain.Name, plain
	}
	b.Description = wrapped(known.Description, lineWidth)
	for i, v := range params {
		b.Args[i].Value = v
		if i < len(known.Params) && meaningful(known.Params[i]) {
			b.Args[i].Meaning = known.Params[i]
		}
	}
	b.refine()
	return b
}

// meaningful reports whether a parameter's text says more than that it has no
// meaning.
func meaningful(text string) bool {
	return text != "0" && text != "none" && text != "none documented" && !strings.HasPrefix(text, "reserved")
}

// lineWidth is how long the lines of a description are at most.
const lineWidth = 78

// wrapped breaks a text into lines.
func wrapped(text string, width int) []string {
	var out []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			out = append(out, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		out = append(out, line)
	}
	return out
}

// refine replaces what a parameter can mean by what its value means.
func (b *BugCheck) refine() {
	set := func(i int, text string) {
		if text != "" {
			b.Args[i].Meaning = text
		}
	}
	a := func(i int) uint64 { return b.Args[i].Value }
	if k, ok := kinds[b.Plain()]; ok {
		if m, ok := k[a(0)]; ok {
			for i, text := range m {
				set(i, text)
			}
		}
	}
	if f, ok := families[b.Plain()]; ok {
		if f.code > 0 {
			b.Args[f.code-1].Meaning = withStatus(b.Args[f.code-1].Meaning, uint32(a(f.code-1)))
		}
		if f.access > 0 && f.access != f.code {
			set(f.access-1, accessText(b.Plain(), a(f.access-1)))
		}
	}
	switch b.Plain() {
	case 0x139:
		if name := fastFail[a(0)]; name != "" {
			set(0, "what was found damaged: FAST_FAIL_"+name)
		}
	case 0x7f:
		if name := traps[a(0)]; name != "" {
			set(0, name)
		}
	case 0x124:
		if name := errorSources[a(0)]; name != "" {
			set(0, name)
		}
	case 0xef:
		if a(1) == 1 {
			set(0, "thread object that ended")
			set(1, "a thread ended")
		} else {
			set(1, "a process ended")
		}
	case 0xf4:
		switch a(0) {
		case 3:
			set(0, "a process ended")
		case 6:
			set(0, "a thread ended")
		}
	}
}

func withStatus(meaning string, status uint32) string {
	name := bugcheck.StatusName(status)
	if name == "" {
		return meaning
	}
	if meaning != "" {
		meaning += ": "
	}
	return meaning + name
}

// accessOf decodes how memory was accessed.
func accessOf(code uint32, v uint64) string {
	switch {
	case code == 0x50 && v&0x10 != 0 || v&8 != 0:
		return "EXECUTE"
	case v&3 != 0:
		return "WRITE"
	}
	return "READ"
}

func accessText(code uint32, v uint64) string {
	return fmt.Sprintf("%#x: %s", v, map[string]string{"READ": "it was read", "WRITE": "it was written", "EXECUTE": "it was executed"}[accessOf(code, v)])
}
