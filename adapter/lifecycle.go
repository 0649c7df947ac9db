package adapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-dap"

	"kdap/session"
)

// clientInfo is what the client said of itself.
type clientInfo struct {
	initializeArguments
	vscode bool
	// Lines and columns begin at 1 unless the client says otherwise.
	zeroColumns, zeroLines bool
}

func onInitialize(a *Adapter, c *call, args initializeArguments) (any, error) {
	// The library's booleans cannot tell "not said" from "no".
	var said struct{ LinesStartAt1, ColumnsStartAt1 *bool }
	_ = json.Unmarshal(c.args, &said)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.client = clientInfo{initializeArguments: args, vscode: strings.HasPrefix(args.ClientID, "vscode")}
	a.client.zeroColumns = said.ColumnsStartAt1 != nil && !*said.ColumnsStartAt1
	a.client.zeroLines = said.LinesStartAt1 != nil && !*said.LinesStartAt1
	return capabilities(), nil
}

// launchArguments are those of launch and attach.
type launchArguments struct {
	DumpFile   string            `json:"dumpFile"`
	SymbolPath string            `json:"symbolPath"`
	ImagePath  string            `json:"imagePath"`
	CacheDir   string            `json:"cacheDir"`
	SourceMap  map[string]string `json:"sourceMap"`
	SourcePath string            `json:"sourcePath"`
	Processes  processes         `json:"processes"`
	Groups     string            `json:"groups"` // "flat", "sessions"
	Engine     string            `json:"engine"`

	EngineCA        string `json:"engineCA"`
	EngineTokenFile string `json:"engineTokenFile"`

	Trace any `json:"trace"` // true, or a file's path

	// Parent is the secret by which a child session joins its parent.
	Parent string `json:"kdapParent"`
}

func onLaunch(a *Adapter, c *call, args launchArguments) (any, error) {
	if a.parent != nil {
		return nil, a.join(c, args)
	}
	if args.DumpFile == "" {
		return nil, errors.New(`"dumpFile" is missing: name the dump to open`)
	}
	return nil, a.open(c, args)
}

func onAttach(a *Adapter, c *call, args launchArguments) (any, error) {
	if a.parent != nil {
		return nil, a.join(c, args)
	}
	if args.Engine == "" {
		return nil, errors.New(`"engine" is missing: attach needs the host:port of a running "kdap engine"`)
	}
	return nil, a.open(c, args)
}

// beginOpening makes requests that need a dump wait; it is called as soon as
// the request that opens one arrives, which may be some time before it runs.
func (a *Adapter) beginOpening() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.openers++; a.openers == 1 {
		a.opening = make(chan struct{})
	}
}

func (a *Adapter) endOpening() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.openers--; a.openers == 0 {
		close(a.opening)
		a.opening = nil
	}
}

func (a *Adapter) open(c *call, args launchArguments) error {
	if a.current() != nil {
		return errors.New("a dump is open already: this session is for one")
	}
	if err := a.startTrace(args.Trace); err != nil {
		return err
	}
	s, err := a.openSession(c, args)
	if err != nil {
		return err
	}
	a.adopt(c, s, args)
	return nil
}

func (a *Adapter) openSession(c *call, args launchArguments) (*session.Session, error) {
	selectors, err := args.Processes.selectors()
	if err != nil {
		return nil, err
	}
	p := a.startProgress(c, "Opening the dump")
	defer p.end()
	s, err := session.Open(c.ctx, session.Options{
		DumpFile: args.DumpFile, SymbolPath: args.SymbolPath, ImagePath: args.ImagePath, CacheDir: args.CacheDir,
		Engine: args.Engine, EngineCA: args.EngineCA, EngineTokenFile: args.EngineTokenFile, Processes: selectors, SourceMap: args.SourceMap, SourcePath: args.SourcePath,
		Program: a.opts.Engine, Progress: p.update, Gone: a.engineGone, Changed: a.symbolsChanged,
	}, a.handles)
	return s, err
}

func (p processes) selectors() ([]session.Selector, error) {
	if p.list == nil {
		return nil, nil
	}
	out := []session.Selector{}
	for _, raw := range *p.list {
		var s session.Selector
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, fmt.Errorf(`"processes": %w`, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// engineGone tells that the engine ended by itself. The adapter lives on: the
// client can restart.
func (a *Adapter) engineGone(reason error) {
	a.output("important", "kdap: "+reason.Error()+"\nRestart opens the dump again.\n")
}

// symbolsChanged has the client ask again for all it shows.
func (a *Adapter) symbolsChanged(problems []string) {
	a.invalidate("all")
	for _, p := range problems {
		a.note(p)
	}
}

// invalidate tells a client that wants to know it that what it shows has changed.
func (a *Adapter) invalidate(areas ...dap.InvalidatedAreas) {
	a.mu.Lock()
	told := a.client.SupportsInvalidatedEvent
	a.mu.Unlock()
	if told {
		a.event("invalidated", dap.InvalidatedEventBody{Areas: areas})
	}
}

func (a *Adapter) tellProblems(s *session.Session) {
	for _, p := range s.Problems() {
		a.note(p)
	}
}

func onConfigurationDone(a *Adapter, c *call, _ struct{}) (any, error) {
	a.mu.Lock()
	a.ready = true
	a.mu.Unlock()
	c.then(a.stopOnce)
	return nil, nil
}

// adopt makes a session the one that the client sees. What follows the answer
// tells that it is there, what it lacks, and where it stands.
func (a *Adapter) adopt(c *call, s *session.Session, args launchArguments) {
	a.mu.Lock()
	a.session, a.args = s, args
	a.mu.Unlock()
	c.then(func() {
		a.event("initialized", nil)
		if a.parent == nil { // which has told them
			a.tellProblems(s)
		}
		a.stopOnce()
	})
}

// stopOnce tells the first stop, when the dump is open and the client is ready.
func (a *Adapter) stopOnce() {
	a.mu.Lock()
	s := a.session
	tell := s != nil && a.ready && !a.stopped
	a.stopped = a.stopped || tell
	a.mu.Unlock()
	if tell {
		a.stop(s)
		a.openGroups(s)
	}
}

// stop tells that all threads are stopped and shows the one that crashed.
func (a *Adapter) stop(s *session.Session) {
	if !s.Crashed() {
		// Of the processes chosen none crashed.
		a.event("stopped", stoppedBody{
			StoppedEventBody: dap.StoppedEventBody{Reason: "pause", PreserveFocusHint: a.parent != nil},
			ThreadID:         s.CrashThread().ID, AllThreadsStopped: true,
		})
		return
	}
	b := s.Dump().BugCheck
	name := b.Name
	if b.Manual && !b.User {
		name += " (manual)"
	}
	a.event("stopped", stoppedBody{
		StoppedEventBody: dap.StoppedEventBody{
			Reason: "exception", Description: name, Text: name, PreserveFocusHint: a.parent != nil,
		},
		ThreadID: s.CrashThread().ID, AllThreadsStopped: true,
	})
}

// pauseOn moves the client to another thread.
func (a *Adapter) pauseOn(threadID int) {
	a.event("stopped", stoppedBody{
		StoppedEventBody: dap.StoppedEventBody{Reason: "pause"}, ThreadID: threadID, AllThreadsStopped: true,
	})
}

type restartArguments struct {
	Arguments json.RawMessage `json:"arguments"`
}

// onRestart opens the dump again, with the configuration as it is now.
func onRestart(a *Adapter, c *call, args restartArguments) (any, error) {
	a.mu.Lock()
	old, launch := a.session, a.args
	if a.parent == nil {
		a.session = nil
	}
	a.mu.Unlock()
	if a.parent != nil {
		return nil, errors.New("this session is a part of another: restart that one")
	}
	if old == nil {
		return nil, errNoDump
	}
	if len(args.Arguments) > 0 {
		newer, err := decode[launchArguments](args.Arguments)
		if err != nil {
			return nil, err
		}
		if newer.DumpFile != "" || newer.Engine != "" {
			launch = newer
		}
	}
	a.family.disband()
	old.Close()
	s, err := a.openSession(c, launch)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.session, a.args = s, launch
	a.mu.Unlock()
	c.then(func() {
		a.tellProblems(s)
		a.stop(s)
	})
	return nil, nil
}

func onTerminate(a *Adapter, c *call, _ struct{}) (any, error) {
	c.then(func() { a.event("terminated", nil) })
	return nil, nil
}

func onDisconnect(a *Adapter, c *call, _ struct{}) (any, error) {
	c.then(a.lifecycle.finish)
	return nil, nil
}

// onSetBreakpoints takes a client's breakpoints and says why none is set: an
// error would only hide the reason.
func onSetBreakpoints(_ *Adapter, _ *call, args dap.SetBreakpointsArguments) (any, error) {
	b := dap.SetBreakpointsResponseBody{Breakpoints: []dap.Breakpoint{}}
	for _, sb := range args.Breakpoints {
		b.Breakpoints = append(b.Breakpoints, dap.Breakpoint{Message: cannotBreak, Line: sb.Line, Source: &args.Source})
	}
	return b, nil
}

func onSetExceptionBreakpoints(*Adapter, *call, dap.SetExceptionBreakpointsArguments) (any, error) {
	return nil, nil
}
