package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/sourcegraph/jsonrpc2"

	"kdap/engine/list"
)

// Bounds of one page of a listing.
const (
	pageBytes   = 1 << 20
	pageEntries = 5000
)

// A cursor is a listing that has been given in part.
type cursor struct {
	mu   sync.Mutex // one page at a time
	kind string
	next func() (any, error, bool)
	stop func()
}

func onList(c *client, ctx context.Context, t *target, p ListParams) (any, error) {
	k, ok := list.KindNamed(p.Kind)
	if !ok {
		return nil, fmt.Errorf("unknown kind of listing %q", p.Kind)
	}
	f := list.Filter{PIDs: p.PIDs, Name: p.Name, Key: p.Key}
	if err := f.Check(); err != nil {
		return nil, fmt.Errorf("name %q: %w", p.Name, err)
	}
	// A listing goes on over several requests, so it has a context of its own.
	walk, cancel := context.WithCancel(context.Background())
	next, stop := iter.Pull2(k.Each(walk, t.System, f))
	cur := &cursor{kind: k.Name, next: next, stop: func() { cancel(); stop() }}
	r, err := cur.page(ctx, p.Limit)
	if err != nil || r.Cursor == 0 {
		cur.stop()
		return r, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.cursors) >= maxCursors {
		cur.stop()
		return nil, &jsonrpc2.Error{Code: CodeBusy, Message: "too many listings are open: close some with list/close"}
	}
	r.Cursor = c.nextID()
	c.cursors[r.Cursor] = cur
	return r, nil
}

func onListNext(c *client, ctx context.Context, _ *target, p ListNextParams) (any, error) {
	c.mu.Lock()
	cur := c.cursors[p.Cursor]
	c.mu.Unlock()
	if cur == nil {
		return nil, fmt.Errorf("no listing %d", p.Cursor)
	}
	r, err := cur.page(ctx, p.Limit)
	if err != nil || r.Cursor == 0 {
		c.closeCursor(p.Cursor)
		return r, err
	}
	r.Cursor = p.Cursor
	return r, nil
}

func onListClose(c *client, _ context.Context, _ *target, p ListNextParams) (any, error) {
	c.closeCursor(p.Cursor)
	return struct{}{}, nil
}

func (c *client) closeCursor(id uint64) {
	c.mu.Lock()
	cur := c.cursors[id]
	delete(c.cursors, id)
	c.mu.Unlock()
	if cur != nil {
		cur.mu.Lock()
		defer cur.mu.Unlock()
		cur.stop()
	}
}

// page takes entries until one of the bounds is reached; its Cursor is not 0
// when there may be more.
func (cur *cursor) page(ctx context.Context, limit int) (ListResult, error) {
	cur.mu.Lock()
	defer cur.mu.Unlock()
	if limit <= 0 || limit > pageEntries {
		limit = pageEntries
	}
	r := ListResult{Schema: list.Schema, Kind: cur.kind, Entries: []any{}}
	for size := 0; size < pageBytes && len(r.Entries) < limit; {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		v, err, ok := cur.next()
		if !ok {
			return r, nil
		}
		if err != nil {
			r.Errors = append(r.Errors, list.Error{Where: cur.kind, Why: err.Error()})
			size += len(err.Error())
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			return r, err
		}
		r.Entries = append(r.Entries, json.RawMessage(b))
		size += len(b)
	}
	r.Cursor = ^uint64(0)
	return r, nil
}

// errNoThread is what a name of a thread that does not exist gives.
var errNoThread = errors.New("no such thread")
