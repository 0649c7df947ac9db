package memory

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync"
)

// A Query says what Search looks for.
type Query struct {
	First, Last uint64 // the first and last byte of the range
	Pattern     []byte
	Step        uint64 // hits lie at First plus a multiple of it; 0 is 1
}

// searchWindow is how much of a range one worker looks through at a time. It
// bounds what is read for nothing after a cancel, and the hits that wait for
// their turn.
const searchWindow = 1 << 20

// errStop ends a search whose caller has seen enough.
var errStop = errors.New("stop")

// Search calls hit with the addresses at which the pattern lies, ascending,
// until hit returns false. A hit lies wholly in the range and in readable
// memory. All processors work at it; space must be safe for concurrent use. It
// fails with the context only.
func Search(ctx context.Context, s Space, q Query, hit func(va uint64) bool) error {
	if q.Last < q.First || len(q.Pattern) == 0 {
		return nil
	}
	q.Step = max(q.Step, 1)
	if q.Last-q.First < searchWindow { // no work for many
		for _, va := range searchIn(ctx, s, q, window{q.First, q.Last}, nil) {
			if !hit(va) {
				break
			}
		}
		return ctx.Err()
	}
	return InOrder(ctx, windows(s, q.First, q.Last), func(w window, out []uint64) []uint64 {
		return searchIn(ctx, s, q, w, out)
	}, hit)
}

// A window is a part of a range, both ends included.
type window struct{ first, last uint64 }

// windows cuts a range; parts that begin in a hole as large as they are left out.
func windows(s Space, first, last uint64) func() (window, bool) {
	done := false
	var probe [1]byte
	return func() (window, bool) {
		for !done {
			w := window{first, first | (searchWindow - 1)}
			if w.last >= last {
				w.last, done = last, true
			}
			if n, err := s.Read(first, probe[:]); n == 0 {
				next, ok := Behind(s, first, err)
				if !ok || next > last || next <= first {
					done = true
					return window{}, false
				}
				if next > w.last {
					first = next
					continue
				}
			}
			first = w.last + 1
			return w, true
		}
		return window{}, false
	}
}

// InOrder lets all processors work at the parts of something large: work
// appends what it finds in one to the slice it gets. The finds are handed on in
// the order of the parts until found returns false. It fails with the context
// only.
func InOrder[Part, Find any](ctx context.Context, next func() (Part, bool), work func(Part, []Find) []Find, found func(Find) bool) error {
	err := inOrder(ctx, next, work, func(finds []Find) error {
		for _, f := range finds {
			if !found(f) {
				return errStop
			}
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

func inOrder[Part, Find any](ctx context.Context, next func() (Part, bool), work func(Part, []Find) []Find, done func([]Find) error) error {
	type job struct {
		part   Part
		result chan []Find
	}
	workers := runtime.GOMAXPROCS(0)
	jobs := make(chan job)
	queue := make(chan job, 2*workers) // in order; its size bounds what is ahead
	stop := make(chan struct{})
	spare := sync.Pool{New: func() any { return new([]Find) }}
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for j := range jobs {
				j.result <- work(j.part, (*spare.Get().(*[]Find))[:0])
			}
		})
	}
	all.Go(func() {
		defer close(jobs)
		defer close(queue)
		for {
			part, ok := next()
			if !ok {
				return
			}
			j := job{part, make(chan []Find, 1)}
			select {
			case queue <- j:
			case <-stop:
				return
			case <-ctx.Done():
				return
			}
			jobs <- j
		}
	})
	var err error
	for j := range queue {
		hits := <-j.result
		if err == nil {
			if err = ctx.Err(); err == nil {
				err = done(hits)
			}
			if err != nil {
				close(stop)
			}
		}
		spare.Put(&hits)
	}
	all.Wait()
	if err == nil {
		err = ctx.Err()
	}
	return err
}

var searchBuffers = sync.Pool{New: func() any { return new([]byte) }}

// searchIn returns the hits that begin in a window.
func searchIn(ctx context.Context, s Space, q Query, w window, out []uint64) []uint64 {
	buf := searchBuffers.Get().(*[]byte)
	defer searchBuffers.Put(buf)
	// What begins in the window may end behind it.
	end := min(q.Last, w.last+min(uint64(len(q.Pattern)-1), q.Last-w.last))
	size := end - w.first + 1
	if uint64(cap(*buf)) < size {
		*buf = make([]byte, size)
	}
	for at := w.first; at <= w.last && ctx.Err() == nil; {
		b := (*buf)[:end-at+1]
		n, err := s.Read(at, b)
		out = matches(b[:n], at, w.last, q, out)
		if err == nil {
			break
		}
		next, ok := Behind(s, at+uint64(n), err)
		if !ok || next <= at {
			break
		}
		at = next
	}
	return out
}

// matches appends the addresses of the pattern in b, which lies at va, up to last.
func matches(b []byte, va, last uint64, q Query, out []uint64) []uint64 {
	for off := 0; ; off++ {
		i := bytes.Index(b[off:], q.Pattern)
		if i < 0 {
			return out
		}
		off += i
		at := va + uint64(off)
		if at > last {
			return out
		}
		if q.Step == 1 || (at-q.First)%q.Step == 0 {
			out = append(out, at)
		}
	}
}

// Behind returns where memory may go on behind a byte that Read failed at with
// err; false at the end of all memory.
func Behind(s Space, va uint64, err error) (uint64, bool) {
	span := uint64(PageSize)
	if e, ok := err.(*ReadError); ok && e.Span > span && !e.Physical {
		span = e.Span
	}
	if b, ok := s.(interface {
		Next(va uint64) (uint64, bool)
	}); ok {
		return b.Next(va)
	}
	next := va | (span - 1)
	return next + 1, next != ^uint64(0)
}
