package rpc

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"

	"github.com/sourcegraph/jsonrpc2"
)

// A lane lets requests run one after the other, in the order they arrived.
type lane struct {
	mu   sync.Mutex
	last chan struct{} // closed when the last turn given out has ended
}

// A turn is a request's place in a lane. It ends when all who hold it have
// let go: the request and, after a cancel, the command that has not noticed yet.
type turn struct {
	before, mine chan struct{}
	holders      atomic.Int32
}

func (l *lane) next() *turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := &turn{before: l.last, mine: make(chan struct{})}
	t.holders.Store(1)
	l.last = t.mine
	return t
}

// wait returns when all turns before have ended, or with the context's error.
func (t *turn) wait(ctx context.Context) error {
	if t.before == nil {
		return nil
	}
	select {
	case <-t.before:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hold keeps the turn until one more end.
func (t *turn) hold() { t.holders.Add(1) }

// end lets the next turn begin; not before those ahead of this one have ended,
// which a turn that was given up may have to wait for.
func (t *turn) end() {
	if t.holders.Add(-1) > 0 {
		return
	}
	if t.before == nil {
		close(t.mine)
		return
	}
	select {
	case <-t.before:
		close(t.mine)
	default:
		go func() {
			<-t.before
			close(t.mine)
		}()
	}
}

// turnOf gives a request its place where the order of requests counts: what a
// console session does. It is called in the reading loop.
func (c *client) turnOf(r *jsonrpc2.Request) *turn {
	switch r.Method {
	case "session/execute", "session/focus", "session/context", "session/close", "evaluate", "completions", "children":
	default:
		return nil
	}
	var p struct {
		Session uint64 `json:"session"`
		Thread  Thread `json:"thread"`
		Ref     uint64 `json:"ref"`
	}
	if r.Params == nil || json.Unmarshal(*r.Params, &p) != nil {
		return nil
	}
	if r.Method == "children" {
		if k, err := c.values.get(p.Ref); err == nil && k.in.from != nil {
			return k.in.from.turn()
		}
		return nil
	}
	s := c.session(p.Session)
	switch {
	case s == nil:
		return nil
	case r.Method == "evaluate" && p.Thread != "":
		return s.asideLane.next()
	}
	return s.lane.next()
}

type turnKey struct{}

func withTurn(ctx context.Context, t *turn) context.Context {
	return context.WithValue(ctx, turnKey{}, t)
}

// turnIn returns the turn of the request that runs, nil without one.
func turnIn(ctx context.Context) *turn {
	t, _ := ctx.Value(turnKey{}).(*turn)
	return t
}
