package list

import (
	"iter"

	"kdap/engine/windows"
)

// An Unloaded is an entry of the kind "unloaded": a driver the kernel remembers.
type Unloaded struct {
	Name  string `json:"name"`
	Start Hex    `json:"start"`
	End   Hex    `json:"end"` // first byte behind the image
}

// UnloadedDrivers yields the remembered drivers, the last unloaded first.
func UnloadedDrivers(sys *windows.System) iter.Seq2[Unloaded, error] {
	return func(yield func(Unloaded, error) bool) {
		for d, err := range sys.UnloadedDrivers() {
			if !yield(Unloaded{d.Name, Hex(d.Start), Hex(d.End)}, err) {
				return
			}
		}
	}
}
