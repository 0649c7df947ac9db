package analyze

import (
	"context"
	"encoding/binary"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
	"kdap/engine/windows"
)

// A sectionFinder finds the critical sections that threads of a process wait
// for. Such a wait names no object, only the thread; but the address of the
// critical section is among what the waiting routines keep on the stack, and
// its content is checked: locked, with waiters, owned by a thread of the process.
type sectionFinder struct {
	space   memory.Space
	threads map[uint64]uint64 // by TID
}

func newSectionFinder(ctx context.Context, p windows.Process) *sectionFinder {
	f := &sectionFinder{threads: map[uint64]uint64{}}
	f.space, _ = p.Space()
	for t, err := range p.Threads(ctx) {
		if err != nil {
			break
		}
		if tid, err := t.TID(); err == nil {
			f.threads[tid] = t.Addr()
		}
	}
	return f
}

// waitDepth is how much of a user stack the routines of a wait can take.
const waitDepth = 0x300

// find looks for the critical section that a thread waits for.
func (f *sectionFinder) find(ctx context.Context, t windows.Thread) (Wait, bool) {
	if f.space == nil {
		return Wait{}, false
	}
	st, err := t.Stack(ctx, maxFrames)
	if err != nil {
		return Wait{}, false
	}
	for i := range st.Frames {
		fr := &st.Frames[i]
		if fr.Kind != windows.UserFrame {
			continue
		}
		for _, v := range f.candidates(fr) {
			if owner, ok := f.section(v); ok && owner != t.Addr() {
				return Wait{Thread: t.Addr(), Kind: "Critical section", Object: v, Owners: []uint64{owner}, Guessed: true}, true
			}
		}
		return Wait{}, false // the stack above the first user frame is looked at in one piece
	}
	return Wait{}, false
}

// candidates are the addresses in the registers and on the stack of a frame.
func (f *sectionFinder) candidates(fr *windows.Frame) []uint64 {
	var all []uint64
	if c := fr.Context(); c != nil {
		for _, r := range []int{amd64.RBX, amd64.RSI, amd64.RDI, amd64.RBP, amd64.R12, amd64.R13, amd64.R14, amd64.R15} {
			all = append(all, c.GPR[r])
		}
	}
	b := make([]byte, waitDepth)
	n, _ := f.space.Read(fr.SP, b)
	for i := 0; i+8 <= n; i += 8 {
		all = append(all, binary.LittleEndian.Uint64(b[i:]))
	}
	return all
}

// section tells which thread owns the critical section at an address, if there
// is one that is locked and waited for.
func (f *sectionFinder) section(at uint64) (owner uint64, ok bool) {
	if !userAddress(at) || at%8 != 0 {
		return 0, false
	}
	c, err := windows.ReadCriticalSection(f.space, at, 8)
	if err != nil || !c.Locked() || c.LockCount >= -1 || c.Recursion < 1 || c.Recursion > 1<<16 {
		return 0, false
	}
	if c.DebugInfo != ^uint64(0) && !userAddress(c.DebugInfo) {
		return 0, false
	}
	owner, ok = f.threads[c.Owner]
	return owner, ok
}

// userAddress tells whether a value can be the address of a program's data.
func userAddress(va uint64) bool { return va >= 0x10000 && va <= 0x7fffffffffff }
