package session

import (
	"context"
	"fmt"

	"kdap/engine/rpc"
)

// focus is what the console works on. The console's own context is the truth:
// commands move it, and a frame that the client names moves it only when it is
// another one than the client named before.
type focus struct {
	thread  rpc.Thread
	frame   int
	process rpc.Hex
	named   int // frame that the client named last
}

// A Focus is the console's context as the client knows it.
type Focus struct {
	ThreadID int
	Frame    int
	Process  rpc.Hex
}

// Focus returns the console's context.
func (s *Session) Focus() Focus {
	s.mu.Lock()
	f := s.focus
	if f.process == 0 && s.crash != nil {
		f.process = s.crash.Process
	}
	s.mu.Unlock()
	return Focus{s.handles.thread(f.thread), f.frame, f.process}
}

// setContext takes over what the console is at; it reports whether source files
// are looked for elsewhere than before.
func (s *Session) setContext(c rpc.Context) (sources bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.focus.thread, s.focus.frame, s.focus.process = c.Thread, c.Frame, c.Process
	if c.SourcePath == s.sources.path {
		return false
	}
	s.sources = s.opts.newSources(c.SourcePath)
	clear(s.stacks)
	return true
}

// sourceFinder finds source files as the console does by now.
func (s *Session) sourceFinder() *sources {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sources
}

// FocusFrame makes a frame the console's context.
func (s *Session) FocusFrame(ctx context.Context, frameID int) error {
	s.consoleMu.Lock()
	defer s.consoleMu.Unlock()
	return s.focusOnFrame(ctx, frameID)
}

// focusOnFrame is FocusFrame with the console locked.
func (s *Session) focusOnFrame(ctx context.Context, frameID int) error {
	k, ok := s.handles.frameOf(s, frameID)
	if !ok {
		return fmt.Errorf("frame %d: %w", frameID, ErrNoHandle)
	}
	if err := s.focusOn(ctx, k.thread, k.index); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.focus.named = frameID
	return nil
}

// FocusThread makes a thread the console's context.
func (s *Session) FocusThread(ctx context.Context, threadID int) error {
	name, err := s.thread(threadID)
	if err != nil {
		return err
	}
	s.consoleMu.Lock()
	defer s.consoleMu.Unlock()
	return s.focusOn(ctx, name, 0)
}

func (s *Session) focusOn(ctx context.Context, name rpc.Thread, frame int) error {
	c, err := s.engine.client.Focus(ctx, rpc.FocusParams{Session: s.console, Thread: name, Frame: frame})
	if err != nil {
		return s.engine.explain(err)
	}
	s.setContext(c)
	return nil
}

// An Execution is how a command line ended.
type Execution struct {
	Failed bool // its output says why
	Quit   bool
	Moved  bool // to another thread: Focus tells which

	Sources bool // source files are looked for elsewhere: stacks have changed
}

// Execute runs a command line in the console, in a frame when the client names
// another than before. output gets the text as it is made; notes are not the
// debugger's own.
func (s *Session) Execute(ctx context.Context, line string, frameID int, output func(text string, note bool)) (Execution, error) {
	s.consoleMu.Lock()
	defer s.consoleMu.Unlock()
	if err := s.follow(ctx, frameID); err != nil {
		return Execution{}, err
	}
	before := s.Focus()
	r, err := s.engine.client.Execute(ctx, rpc.ExecuteParams{Session: s.console, Line: line}, output)
	if err != nil {
		return Execution{}, s.engine.explain(err)
	}
	sources := s.setContext(r.Context)
	return Execution{Failed: r.Failed, Quit: r.Quit, Moved: s.Focus().ThreadID != before.ThreadID, Sources: sources}, nil
}

func (s *Session) follow(ctx context.Context, frameID int) error {
	s.mu.Lock()
	named := s.focus.named
	s.mu.Unlock()
	if frameID == 0 || frameID == named {
		return nil
	}
	return s.focusOnFrame(ctx, frameID)
}

// Completions returns the continuations of a console line at a column.
func (s *Session) Completions(ctx context.Context, line string, column int) (rpc.CompletionsResult, error) {
	r, err := s.engine.client.Completions(ctx, rpc.CompletionsParams{Session: s.console, Line: line, Column: column})
	return r, s.engine.explain(err)
}
