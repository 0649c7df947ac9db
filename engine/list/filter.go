package list

import (
	"path"
	"slices"
	"strings"

	"kdap/engine/windows"
)

// A Filter narrows a listing to some processes. The zero value keeps all.
type Filter struct {
	PIDs []uint64
	Name string // a glob over the image name, without regard to letter case
	Key  string // the path of a registry key, which the kind "registry" needs
}

// Empty reports whether the filter keeps everything.
func (f Filter) Empty() bool { return len(f.PIDs) == 0 && f.Name == "" }

// Process reports whether the filter keeps p. What cannot be read is not kept.
func (f Filter) Process(p windows.Process) bool {
	if len(f.PIDs) > 0 {
		pid, err := p.PID()
		if err != nil || !slices.Contains(f.PIDs, pid) {
			return false
		}
	}
	if f.Name == "" {
		return true
	}
	name, err := p.ImageName()
	if err != nil {
		return false
	}
	ok, err := path.Match(strings.ToLower(f.Name), strings.ToLower(name))
	return ok && err == nil
}

// Check reports a malformed pattern.
func (f Filter) Check() error {
	_, err := path.Match(f.Name, "")
	return err
}
