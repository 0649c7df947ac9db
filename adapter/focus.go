package adapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"kdap/engine/rpc"
	"kdap/session"
)

// focusArguments are those of kdap/focus: what was selected in Call Stack
// (threadId, frameId), or what a view wants to be shown (process or thread: an
// id as number, or the address of the structure as text).
type focusArguments struct {
	ThreadID int             `json:"threadId"`
	FrameID  int             `json:"frameId"`
	Process  json.RawMessage `json:"process"`
	Thread   json.RawMessage `json:"thread"`
}

func onFocus(a *Adapter, c *call, args focusArguments) (any, error) {
	s, err := a.need(c)
	if err != nil {
		return nil, err
	}
	switch {
	case args.FrameID != 0:
		return nil, s.FocusFrame(c.ctx, args.FrameID)
	case args.ThreadID != 0:
		return nil, s.FocusThread(c.ctx, args.ThreadID)
	}
	t, err := wanted(s, args)
	if err != nil {
		return nil, err
	}
	if err := s.FocusThread(c.ctx, t.ID); err != nil {
		return nil, err
	}
	c.then(func() { a.pauseOn(t.ID) })
	return map[string]any{"threadId": t.ID}, nil
}

// wanted finds the thread that a view names.
func wanted(s *session.Session, args focusArguments) (session.Thread, error) {
	raw, isThread := args.Thread, true
	if len(raw) == 0 {
		raw, isThread = args.Process, false
	}
	if len(raw) == 0 {
		return session.Thread{}, errors.New("kdap/focus: one of threadId, frameId, thread and process must be given")
	}
	number, addr, err := idOrAddress(raw)
	if err != nil {
		return session.Thread{}, fmt.Errorf("kdap/focus: %w", err)
	}
	for _, g := range s.Groups() {
		if !isThread {
			if g.Process == addr && addr != 0 || g.PID != nil && addr == 0 && *g.PID == number {
				if len(g.Threads) == 0 {
					return session.Thread{}, fmt.Errorf("process %s has no threads", raw)
				}
				return g.Threads[0], nil
			}
			continue
		}
		for _, t := range g.Threads {
			if t.Thread == rpc.Thread(addr.String()) && addr != 0 || addr == 0 && t.ID == int(number) {
				return t, nil
			}
		}
	}
	return session.Thread{}, fmt.Errorf("kdap/focus: %s is not among the processes and threads shown", raw)
}

func idOrAddress(raw json.RawMessage) (number uint64, addr rpc.Hex, err error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		v, err := strconv.ParseUint(text, 0, 64)
		return 0, rpc.Hex(v), err
	}
	err = json.Unmarshal(raw, &number)
	return number, 0, err
}

type processesArguments struct {
	Processes processes `json:"processes"`
}

// onProcesses chooses the processes that are shown, as the launch argument
// does. Where the thread in focus goes away another one is shown.
func onProcesses(a *Adapter, c *call, args processesArguments) (any, error) {
	s, err := a.need(c)
	if err != nil {
		return nil, err
	}
	sel, err := args.Processes.selectors()
	if err != nil {
		return nil, err
	}
	if err := s.SetProcesses(c.ctx, sel); err != nil {
		return nil, err
	}
	next := 0
	if !s.Listed(s.Focus().ThreadID) {
		next = s.CrashThread().ID
		if err := s.FocusThread(c.ctx, next); err != nil {
			return nil, err
		}
	}
	c.then(func() {
		a.invalidate("threads")
		if next != 0 {
			a.pauseOn(next)
		}
	})
	return nil, nil
}
