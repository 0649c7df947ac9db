package session

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"kdap/engine/rpc"
)

// A Group is a process with its threads.
type Group struct {
	PID     *uint64
	Name    string // image name
	Process rpc.Hex
	Threads []Thread
}

// A Thread is one thread of the session.
type Thread struct {
	ID      int
	Name    string // with its group: "[1a2c PotionShop.exe] 1a54 Waiting UserRequest"
	Thread  rpc.Thread
	Process rpc.Hex
}

// A Selector chooses processes: by id, or by a pattern for the image name.
type Selector struct {
	PID     uint64
	Pattern string
}

// UnmarshalJSON takes a number, or a text: a name, a pattern or a number.
func (s *Selector) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	switch v := v.(type) {
	case float64:
		if v < 0 || v != float64(uint64(v)) {
			return fmt.Errorf("%v is no process id", v)
		}
		s.PID, s.Pattern = uint64(v), ""
		return nil
	case string:
		if _, err := path.Match(v, ""); err != nil {
			return fmt.Errorf("%q: %w", v, err)
		}
		s.Pattern = v
		if pid, err := strconv.ParseUint(v, 0, 64); err == nil {
			s.PID, s.Pattern = pid, ""
		}
		return nil
	}
	return fmt.Errorf("%s is neither a name nor a process id", b)
}

func (s Selector) String() string {
	if s.Pattern == "" {
		return fmt.Sprint(s.PID)
	}
	return s.Pattern
}

func (s Selector) matches(g rpc.Group) bool {
	if s.Pattern == "" {
		return g.PID != nil && *g.PID == s.PID
	}
	ok, err := path.Match(strings.ToLower(s.Pattern), strings.ToLower(g.Name))
	return ok && err == nil
}

// loadGroups asks for all threads and puts them in order: the process that
// crashed first, then as the system lists them; the idle process, which is on
// no list, last.
func (s *Session) loadGroups(ctx context.Context, chosen []Selector) error {
	r, err := s.engine.client.Groups(ctx)
	if err != nil {
		return err
	}
	var groups []Group
	var crash *Thread
	for _, g := range order(r) {
		if !selected(chosen, g) {
			continue
		}
		group := Group{PID: g.PID, Name: g.Name, Process: g.EPROCESS}
		for _, t := range g.Threads {
			th := Thread{ID: s.handles.thread(t.Thread), Name: threadTitle(g, t), Thread: t.Thread, Process: g.EPROCESS}
			group.Threads = append(group.Threads, th)
			if t.Thread == r.Crash {
				crash = &th
			}
		}
		groups = append(groups, group)
	}
	if len(groups) == 0 && chosen != nil {
		return fmt.Errorf("no process matches %v (argument \"processes\")", chosen)
	}
	if crash == nil {
		for _, g := range groups {
			if len(g.Threads) > 0 {
				crash = &g.Threads[0]
				break
			}
		}
	}
	if crash == nil {
		return errors.New("the dump has no thread that can be shown")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups, s.chosen, s.crash, s.crashed, s.errs = groups, chosen, crash, crash.Thread == r.Crash, nil
	for _, e := range r.Errors {
		s.errs = append(s.errs, e.Where+": "+e.Why)
	}
	return nil
}

func order(r rpc.GroupsResult) []rpc.Group {
	groups := slices.Clone(r.Groups)
	rank := func(g rpc.Group) int {
		switch {
		case slices.ContainsFunc(g.Threads, func(t rpc.GroupThread) bool { return t.Thread == r.Crash }):
			return 0
		case g.Idle:
			return 2
		}
		return 1
	}
	slices.SortStableFunc(groups, func(a, b rpc.Group) int { return rank(a) - rank(b) })
	return groups
}

func selected(chosen []Selector, g rpc.Group) bool {
	return chosen == nil || slices.ContainsFunc(chosen, func(sel Selector) bool { return sel.matches(g) })
}

// threadTitle is what a person looks for: the process, the thread's id, then
// its description or what it does.
func threadTitle(g rpc.Group, t rpc.GroupThread) string {
	title := fmt.Sprintf("[%s %s] %s", hexID(g.PID), Visible(cmp.Or(g.Name, "?")), hexID(t.TID))
	switch {
	case t.Name != "":
		return title + " " + Visible(t.Name)
	case t.CPU != nil:
		return fmt.Sprintf("%s %s CPU %d", title, t.State, *t.CPU)
	case t.WaitReason != "":
		return title + " " + t.State + " " + t.WaitReason
	}
	return strings.TrimRight(title+" "+t.State, " ")
}

// hexID spells an id as Cid does: hexadecimal, without prefix.
func hexID(id *uint64) string {
	if id == nil {
		return "?"
	}
	return strconv.FormatUint(*id, 16)
}

// Visible replaces control characters, terminal escapes among them, by the
// pictures that stand for them: names in a dump are anybody's text.
func Visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return r
		case r < 0x20:
			return 0x2400 + r
		case r == 0x7f:
			return 0x2421
		case r >= 0x80 && r < 0xa0: // C1: a single-byte CSI is one of them
			return 0xfffd
		}
		return r
	}, s)
}

// Groups returns the processes with their threads, in the order to show.
func (s *Session) Groups() []Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.groups
}

// CrashThread returns the thread to show first.
func (s *Session) CrashThread() Thread {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.crash
}

// Crashed reports whether CrashThread is the one that crashed, and not only the
// first of a choice of processes.
func (s *Session) Crashed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.crashed
}

// Problems tells what is missing: of the dump and of its lists.
func (s *Session) Problems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(slices.Clone(s.dump.Problems), s.errs...)
}

// SetProcesses chooses other processes, nil for all. It fails, and leaves the
// choice as it was, when none fits.
func (s *Session) SetProcesses(ctx context.Context, sel []Selector) error {
	return s.engine.explain(s.loadGroups(ctx, sel))
}

// Listed reports whether a thread is among those shown.
func (s *Session) Listed(threadID int) bool {
	return slices.ContainsFunc(s.Groups(), func(g Group) bool {
		return slices.ContainsFunc(g.Threads, func(t Thread) bool { return t.ID == threadID })
	})
}

// thread returns a thread of the session by its number.
func (s *Session) thread(id int) (rpc.Thread, error) {
	name, ok := s.handles.threadName(id)
	if !ok {
		return "", fmt.Errorf("thread %d: %w", id, ErrNoHandle)
	}
	return name, nil
}
