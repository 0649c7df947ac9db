package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sourcegraph/jsonrpc2"

	"kdap/engine/bugcheck"
	"kdap/engine/list"
	"kdap/engine/windows"
)

// progressInterval bounds how often progress is told.
const progressInterval = 100 * time.Millisecond

func onOpen(c *client, ctx context.Context, p OpenParams) (any, error) {
	if c.openTarget() != nil {
		return nil, &jsonrpc2.Error{Code: CodeFailed, Message: "a dump is open already: one connection works on one dump"}
	}
	var last time.Time
	progress := func(done, total uint64) {
		if now := time.Now(); p.Token != "" && now.Sub(last) >= progressInterval {
			last = now
			c.notify("$/progress", Progress{Token: p.Token, Text: "unpacking the dump", Done: done, Total: total})
		}
	}
	t, err := c.e.acquire(ctx, p, progress)
	if err != nil {
		if t != nil {
			c.e.release(t)
		}
		return nil, openError(err)
	}
	c.mu.Lock()
	taken := c.opened != nil
	if !taken {
		c.opened = t
		t.join(c)
	}
	c.mu.Unlock()
	if taken {
		c.e.release(t)
		return nil, &jsonrpc2.Error{Code: CodeFailed, Message: "a dump is open already: one connection works on one dump"}
	}
	if p.Token != "" {
		c.notify("$/progress", Progress{Token: p.Token, Text: "reading the kernel's symbols"})
	}
	return c.describe(ctx, t.now.Load()), nil
}

// openError keeps the code for what the file is to blame for.
func openError(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	e := asError(err)
	return &jsonrpc2.Error{Code: CodeOpen, Message: e.Message}
}

func (c *client) describe(ctx context.Context, t *target) OpenResult {
	r := OpenResult{Path: t.path, System: list.NewSystem(ctx, t.System), BugCheck: t.bugCheck()}
	for _, p := range t.Problems() {
		r.Problems = append(r.Problems, p.Error())
	}
	return r
}

// bugCheck tells why the code stopped. Of a user minidump that is its exception.
func (t *target) bugCheck() BugCheck {
	u := t.System.User()
	if u == nil {
		return describeBugCheck(t.System.BugCheck())
	}
	e := u.File().Exception
	if e == nil {
		return BugCheck{BugCheck: list.BugCheck{Name: "no exception"}, User: true, Manual: true}
	}
	r := BugCheck{User: true}
	r.Code = Hex(e.Code)
	if name, ok := windows.ExceptionName(e.Code); ok {
		r.Name = name
	} else {
		r.Name = fmt.Sprintf("exception %08x", e.Code)
	}
	return r
}

func describeBugCheck(b windows.BugCheck) BugCheck {
	r := BugCheck{BugCheck: list.NewBugCheck(b)}
	r.Manual = b.Code == bugcheck.Manual || b.Code == bugcheck.Live || b.Code == bugcheck.DumpIt
	if code, ok := bugcheck.Lookup(b.Code); ok {
		r.Meaning = code.Params
	}
	return r
}

func onSystem(_ *client, ctx context.Context, t *target, _ struct{}) (any, error) {
	return list.NewSystem(ctx, t.System), nil
}

func onBugCheck(_ *client, _ context.Context, t *target, _ struct{}) (any, error) {
	return t.bugCheck(), nil
}
