package rpc

import (
	"container/list"
	"context"
	"sync"

	listing "kdap/engine/list"
	"kdap/engine/memory"
	"kdap/engine/windows"
)

// A walked stack is kept for the frames' registers and for asking again.
type walked struct {
	stack   windows.Stack
	ended   error
	modules *windows.ModuleSet
	space   memory.Space
	process Hex // 0 for none

	mu    sync.Mutex
	names []Frame // nil until asked for
	rows  []row   // what each of names stands for
}

// A row is what a client takes for a frame: a frame of the stack, or one of
// the functions that were inlined where it stands.
type row struct {
	frame   int // index in the stack
	inlined int // how deep below the frame's own function, 0 for that function
}

// frames returns the frames with their names, made once.
func (w *walked) frames(ctx context.Context, t *target) ([]Frame, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.names != nil {
		return w.names, nil
	}
	names := make([]Frame, 0, len(w.stack.Frames))
	rows := make([]row, 0, len(w.stack.Frames))
	for i := range w.stack.Frames {
		f := &w.stack.Frames[i]
		text := t.textLine(ctx, code{f.Module, w.space, t.machine()}, f.IP)
		listed := listing.NewFrames(ctx, *f, len(names))
		for k, in := range listed {
			v := Frame{Frame: in, TextLine: text}
			if f.Module != nil {
				v.ModuleBase = Hex(f.Module.Base)
				v.SourceFrom = t.sourceFrom(ctx, f.Module, in.Source)
			}
			names = append(names, v)
			rows = append(rows, row{i, len(listed) - 1 - k}) // the innermost comes first
		}
		if err := ctx.Err(); err != nil {
			return nil, err // symbols that were not waited for leave other names
		}
	}
	w.names, w.rows = names, rows
	return names, nil
}

// maxStacks is how many walked stacks a target keeps.
const maxStacks = 4096

// A stackCache keeps the stacks that were asked for last.
type stackCache struct {
	mu      sync.Mutex
	byName  map[Thread]*list.Element
	recent  list.List // of *cachedStack, the last used first
	walking map[Thread]chan struct{}
}

type cachedStack struct {
	name  Thread
	stack *walked
}

// get returns a stack, walking it when it is not kept. Two clients that ask at
// once walk it once.
func (c *stackCache) get(ctx context.Context, name Thread, walk func() (*walked, error)) (*walked, error) {
	for {
		c.mu.Lock()
		if e, ok := c.byName[name]; ok {
			c.recent.MoveToFront(e)
			c.mu.Unlock()
			return e.Value.(*cachedStack).stack, nil
		}
		busy := c.walking[name]
		if busy == nil {
			break
		}
		c.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if c.byName == nil {
		c.byName, c.walking = map[Thread]*list.Element{}, map[Thread]chan struct{}{}
	}
	done := make(chan struct{})
	c.walking[name] = done
	c.mu.Unlock()
	var w *walked
	var err error
	defer func() {
		c.mu.Lock()
		delete(c.walking, name)
		if err == nil && w != nil {
			c.byName[name] = c.recent.PushFront(&cachedStack{name, w})
			for c.recent.Len() > maxStacks {
				old := c.recent.Remove(c.recent.Back()).(*cachedStack)
				delete(c.byName, old.name)
			}
		}
		c.mu.Unlock()
		close(done)
	}()
	w, err = walk()
	return w, err
}

func onStack(_ *client, ctx context.Context, t *target, p StackParams) (any, error) {
	at, err := t.place(p.Thread)
	if err != nil {
		return nil, err
	}
	w, err := t.walk(ctx, at)
	if err != nil {
		return nil, err
	}
	frames, err := w.frames(ctx, t)
	if err != nil {
		return nil, err
	}
	r := StackResult{Total: len(frames), Process: w.process, Frames: []Frame{}}
	if w.ended != nil {
		r.Ended = w.ended.Error()
	}
	from := min(max(p.Start, 0), len(frames))
	to := len(frames)
	if p.Levels > 0 {
		to = min(to, from+p.Levels)
	}
	r.Frames = append(r.Frames, frames[from:to]...)
	return r, nil
}
