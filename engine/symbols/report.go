package symbols

import (
	"fmt"
	"strings"
)

// An Outcome says how looking in one place ended.
type Outcome uint8

// The outcomes.
const (
	NotFound Outcome = iota
	Matched
	Mismatched // a file of the right name that belongs to another image
	Damaged    // a file that cannot be read
	Refused    // not looked at, for the reason in Detail
	Failed     // a server did not answer, or a file could not be stored
)

func (o Outcome) String() string {
	return [...]string{"not found", "OK", "mismatched", "damaged", "refused", "failed"}[min(int(o), int(Failed))]
}

// A Try is one place that was looked at.
type Try struct {
	File    string // path or address
	Outcome Outcome
	Detail  string // why, or what was there instead
}

// A Report tells what was looked for, where, and how it ended.
type Report struct {
	Want     string // "ntkrnlmp.pdb GUID 5278… age 1"
	Elements int    // of the path
	Tries    []Try
}

func (r *Report) add(file string, o Outcome, detail string) {
	r.Tries = append(r.Tries, Try{file, o, detail})
}

// Found reports whether the last place held what was looked for.
func (r *Report) Found() bool {
	return len(r.Tries) > 0 && r.Tries[len(r.Tries)-1].Outcome == Matched
}

// Mismatched reports whether a file of another image was found.
func (r *Report) Mismatched() bool {
	for _, t := range r.Tries {
		if t.Outcome == Mismatched {
			return true
		}
	}
	return false
}

// String tells the outcome in one sentence, with everything that was not plainly
// missing.
func (r *Report) String() string {
	if r.Found() {
		return fmt.Sprintf("%s: %s", r.Want, r.Tries[len(r.Tries)-1].File)
	}
	if r.Elements == 0 {
		return fmt.Sprintf("%s not found: the path is empty", r.Want)
	}
	asked := r.Elements
	var why strings.Builder
	seen := map[string]bool{}
	for _, t := range r.Tries {
		if t.Outcome == NotFound {
			continue
		}
		text := fmt.Sprintf("; %s %s", t.File, t.Outcome)
		if t.Detail != "" {
			text += ": " + t.Detail
		}
		if !seen[text] {
			seen[text] = true
			why.WriteString(text)
		}
		if t.Outcome == Failed {
			asked--
		}
	}
	return fmt.Sprintf("%s not found in %d of %d stores%s", r.Want, max(asked, 0), r.Elements, why.String())
}
