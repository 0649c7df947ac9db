package rpc

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"

	"kdap/engine/command"
	"kdap/engine/inspect"
)

// maxGeneration is how many values a generation has; two are kept. It is far
// more than any view shows, and some 100 MB.
const maxGeneration = 1 << 17

// values are the nodes that a client can open. References count up and are
// never used twice. A line that is shown again keeps its reference: who looks
// at the same things over and over needs no more memory each time.
//
// What is opened or shown is young. Once there are enough young values, they
// grow old together and those that were old by then are forgotten: of the
// values a client looked at last, none is.
type values struct {
	mu         sync.Mutex
	next       uint64
	young, old generation
}

type generation struct {
	kept   map[uint64]kept
	lines  map[spot]uint64
	frames map[ScopesParams]uint64 // numbers for lines below a frame
}

// A line is where a value is shown: below another or a frame, in one of the
// lists that there are of it. The zero line is shown once.
type line struct {
	under uint64
	list  string
	place int
	name  string
}

// The lists of a frame.
const (
	inScopes    = "scopes"
	inLocals    = "locals"
	inRegisters = "registers"
)

// A spot is a line in little memory: the hash stands for where it is below
// under.
type spot struct{ under, hash uint64 }

var spotSeed = maphash.MakeSeed()

func (l line) spot() spot {
	below := l
	below.under = 0
	return spot{l.under, maphash.Comparable(spotSeed, below)}
}

// A kept value is what is below it. Values of one tree share where they are.
type kept struct {
	below inspect.Below
	in    *where
}

// where is the space that a value's addresses count in; what belongs to a
// session can be opened in its turn only.
type where struct {
	space space
	from  *origin // nil for what belongs to no session
}

// An origin is where in a session a value was found: the debugger's objects are
// computed there, each time one is opened.
type origin struct {
	session *session
	thread  Thread // with the frame, in the session's other console; "" for the console itself
	frame   int
}

// console returns the console of an origin, in its frame.
func (o *origin) console(ctx context.Context, t *target) (*command.Session, error) {
	if o.thread == "" {
		return o.session.console, nil
	}
	return o.session.aside, t.focus(ctx, o.session.aside, o.thread, o.frame)
}

// turn returns the next turn of an origin's console.
func (o *origin) turn() *turn {
	if o.thread == "" {
		return o.session.lane.next()
	}
	return o.session.asideLane.next()
}

// frame returns the number that stands for a frame in lines.
func (v *values) frame(p ScopesParams) uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	n, known := v.young.frames[p]
	if known {
		return n
	}
	if n, known = v.old.frames[p]; !known {
		v.next++
		n = v.next
	}
	v.age()
	v.young.frames[p] = n
	return n
}

// keep returns the reference of a value that is shown at a line.
func (v *values) keep(k kept, at line) uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := at.spot()
	ref, shown := v.young.lines[s]
	if !shown {
		ref, shown = v.old.lines[s]
	}
	if at == (line{}) || !shown {
		v.next++
		ref = v.next
	}
	v.age()
	if at != (line{}) {
		v.young.lines[s] = ref
	}
	v.young.kept[ref] = k
	return ref
}

// get returns a value to open, which makes it young.
func (v *values) get(ref uint64) (kept, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if k, ok := v.young.kept[ref]; ok {
		return k, nil
	}
	k, ok := v.old.kept[ref]
	switch {
	case ok:
		v.age()
		v.young.kept[ref] = k
		return k, nil
	case ref == 0 || ref > v.next:
		return k, fmt.Errorf("no value %d", ref)
	}
	return k, fmt.Errorf("value %d is forgotten, more than %d others were shown since: open again what it stands in", ref, maxGeneration)
}

// age makes room for one more young value.
func (v *values) age() {
	if v.young.kept != nil && len(v.young.kept)+len(v.young.frames) < maxGeneration {
		return
	}
	v.old = v.young
	v.young = generation{map[uint64]kept{}, map[spot]uint64{}, map[ScopesParams]uint64{}}
}
