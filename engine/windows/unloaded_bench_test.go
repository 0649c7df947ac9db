package windows_test

import "testing"

// BenchmarkUnloadedDrivers is what each address costs that no module has.
func BenchmarkUnloadedDrivers(b *testing.B) {
	sys := openLab(b).System
	for b.Loop() {
		for range sys.UnloadedDrivers() {
		}
	}
}
