package command

import (
	"regexp"
	"testing"
)

// TestRecordedLocals replays the recorded sessions about variables of frames.
func TestRecordedLocals(t *testing.T) {
	for record, but := range map[string]*regexp.Regexp{
		// A type where a value should be; -b of an array; the warning in a line of dots.
		"lab/locals.txt":    regexp.MustCompile(`^\?\? &?request|^dt -b order|^\.process`),
		"lab/dt-locals.txt": regexp.MustCompile(`^ld `),
	} {
		t.Run(record, func(t *testing.T) {
			replay(t, labSession(t), record, func(command string) bool { return !but.MatchString(command) })
		})
	}
}
