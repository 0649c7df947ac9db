package list

import (
	"context"
	"fmt"
	"iter"

	"kdap/engine/windows"
)

// A VAD is an entry of the kind "vads": an address range of a process.
type VAD struct {
	PID        *uint64         `json:"pid,omitempty"`
	VAD        Hex             `json:"vad"` // the _MMVAD
	Start      Hex             `json:"start"`
	End        Hex             `json:"end"`                   // last byte
	Kind       windows.VADKind `json:"kind,omitempty"`        // "private", "mapped", "image", "physical", "awe", "writewatch", "large", "rotate"
	Protection string          `json:"protection,omitempty"`  // as the range was made, in Win32's words
	Commit     *uint64         `json:"commitPages,omitempty"` // absent for ranges that are not counted
	File       string          `json:"file,omitempty"`        // that is mapped
	Level      int             `json:"level"`                 // in the tree; the root has 0

	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// VADs yields the ranges of the processes that keep accepts, by address. A tree
// that breaks yields its good part and its error.
func VADs(ctx context.Context, sys *windows.System, keep Filter) iter.Seq2[VAD, error] {
	return ofProcesses(AllProcesses(ctx, sys), keep, func(p windows.Process, yield func(VAD, error) bool) bool {
		pid, pidErr := p.PID()
		for v, err := range p.VADs(ctx) {
			var entry VAD
			if err != nil {
				err = fmt.Errorf("process %d: %w", pid, err)
			} else {
				entry = NewVAD(v)
				entry.PID = read(&entry.Unreadable, "pid", pid, pidErr)
			}
			if !yield(entry, err) {
				return false
			}
		}
		return true
	})
}

// NewVAD reads the values of one range.
func NewVAD(v windows.VAD) VAD {
	e := VAD{VAD: Hex(v.Addr()), Start: Hex(v.Start), End: Hex(v.End), Level: v.Level}
	u := &e.Unreadable
	kind, err := v.Kind()
	if err != nil {
		u.add("kind", err)
	}
	e.Kind = kind
	protection, err := v.Protection()
	if err == nil {
		e.Protection = protection.String()
	} else {
		u.add("protection", err)
	}
	commit, counted, err := v.CommitPages()
	if counted || err != nil {
		e.Commit = read(u, "commitPages", commit, err)
	}
	file, err := v.File()
	e.File = readText(u, "file", file, err)
	return e
}
