package adapter

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"sync"

	"github.com/google/go-dap"

	"kdap/session"
)

// A family is a session's children: sessions of their own for single
// processes, served by this same adapter and engine. They reach it through a
// loopback port, with a secret that only the client was told.
type family struct {
	mu       sync.Mutex
	listener net.Listener
	secret   string
	members  map[*Adapter]bool
	conns    map[net.Conn]bool
	serving  sync.WaitGroup
	ended    bool
}

func (f *family) add(a *Adapter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.members == nil {
		f.members = map[*Adapter]bool{}
	}
	f.members[a] = true
}

func (f *family) remove(a *Adapter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.members, a)
}

// disband tells the children that they have ended.
func (f *family) disband() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for a := range f.members {
		a.event("terminated", nil)
	}
}

// end ends the children with their parent.
func (f *family) end() {
	f.disband()
	f.mu.Lock()
	f.ended = true
	if f.listener != nil {
		f.listener.Close()
	}
	for c := range f.conns {
		c.Close()
	}
	f.mu.Unlock()
	f.serving.Wait()
}

// port returns the port that children connect to; it is opened for the first.
func (a *Adapter) port() (int, string, error) {
	f := &a.family
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return 0, "", errLeaving
	}
	if f.listener == nil {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return 0, "", err
		}
		f.listener, f.secret, f.conns = l, rand.Text(), map[net.Conn]bool{}
		f.serving.Go(func() { a.serveChildren(l) })
	}
	return f.listener.Addr().(*net.TCPAddr).Port, f.secret, nil
}

func (a *Adapter) serveChildren(l net.Listener) {
	f := &a.family
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		if f.ended {
			f.mu.Unlock()
			conn.Close()
			return
		}
		f.conns[conn] = true
		f.mu.Unlock()
		f.serving.Go(func() {
			if err := serve(context.Background(), conn, conn, a.opts, a); err != nil {
				a.trace.note("child: %v", err)
			}
			f.mu.Lock()
			delete(f.conns, conn)
			f.mu.Unlock()
			conn.Close()
		})
	}
}

// join opens a child's session in its parent's engine.
func (a *Adapter) join(c *call, args launchArguments) error {
	a.parent.family.mu.Lock()
	secret := a.parent.family.secret
	a.parent.family.mu.Unlock()
	if subtle.ConstantTimeCompare([]byte(secret), []byte(args.Parent)) != 1 {
		return errors.New("this port is for child sessions of a debugger that is open")
	}
	if a.current() != nil {
		return errors.New("a dump is open already: this session is for one")
	}
	parent := a.parent.current()
	if parent == nil {
		return errNoDump
	}
	selectors, err := args.Processes.selectors()
	if err != nil {
		return err
	}
	s, err := parent.Child(c.ctx, selectors, a.handles, func([]string) { a.invalidate("all") })
	if err != nil {
		return err
	}
	a.adopt(c, s, args)
	return nil
}

// openGroup asks the client for a session of its own for one process.
func (a *Adapter) openGroup(g session.Group) error {
	if g.PID == nil || len(g.Threads) == 0 {
		return fmt.Errorf("process %s has no threads to show", session.Visible(g.Name))
	}
	a.mu.Lock()
	vscode, other, launch := a.client.vscode, a.client.SupportsStartDebuggingRequest, a.args
	a.mu.Unlock()
	config := map[string]any{
		"type": "kdap", "request": "attach", "name": fmt.Sprintf("%x %s", *g.PID, session.Visible(g.Name)), "processes": []uint64{*g.PID},
	}
	switch {
	case vscode:
		port, secret, err := a.port()
		if err != nil {
			return err
		}
		config["debugServer"], config["engine"], config["kdapParent"] = port, fmt.Sprintf("127.0.0.1:%d", port), secret
		a.event("kdap/openProcess", map[string]any{"request": "attach", "configuration": config})
	case other:
		// Elsewhere a child gets an adapter of its own.
		request := "launch"
		if launch.DumpFile == "" {
			request = "attach"
		}
		config["request"] = request
		for name, v := range map[string]string{
			"dumpFile": launch.DumpFile, "symbolPath": launch.SymbolPath, "imagePath": launch.ImagePath,
			"cacheDir": launch.CacheDir, "engine": launch.Engine,
			"engineCA": launch.EngineCA, "engineTokenFile": launch.EngineTokenFile,
		} {
			if v != "" {
				config[name] = v
			}
		}
		if launch.SourceMap != nil {
			config["sourceMap"] = launch.SourceMap
		}
		a.startDebugging(request, config)
	default:
		return errors.New("this editor cannot open a session for a process")
	}
	return nil
}

// startDebugging sends the protocol's request in the other direction. What the
// client answers changes nothing here.
func (a *Adapter) startDebugging(request string, config map[string]any) {
	r := &dap.StartDebuggingRequest{
		Request:   dap.Request{Command: "startDebugging"},
		Arguments: dap.StartDebuggingRequestArguments{Request: request, Configuration: config},
	}
	r.Type = "request"
	a.out.send(&r.ProtocolMessage, r)
}

// maxChildren bounds how many sessions one launch opens.
const maxChildren = 200

// openGroups opens the sessions that the launch asked for: one for each
// process but the first, which this session shows.
func (a *Adapter) openGroups(s *session.Session) {
	a.mu.Lock()
	wanted := a.args.Groups == "sessions" && a.parent == nil
	a.mu.Unlock()
	if !wanted {
		return
	}
	opened := 0
	for i, g := range s.Groups() {
		if i == 0 || len(g.Threads) == 0 {
			continue
		}
		if opened == maxChildren {
			a.note(fmt.Sprintf("%d processes have sessions of their own; name the others in \"processes\".", opened))
			return
		}
		if err := a.openGroup(g); err != nil {
			a.note(err.Error())
			return
		}
		opened++
	}
}

type openProcessArguments struct {
	focusArguments
}

// onOpenProcess opens a session for the process that a view names.
func onOpenProcess(a *Adapter, c *call, args openProcessArguments) (any, error) {
	s, err := a.need(c)
	if err != nil {
		return nil, err
	}
	t, err := wanted(s, args.focusArguments)
	if err != nil {
		return nil, err
	}
	g, err := groupOf(s, t)
	if err != nil {
		return nil, err
	}
	return nil, a.openGroup(g)
}

func groupOf(s *session.Session, t session.Thread) (session.Group, error) {
	for _, g := range s.Groups() {
		if g.Process == t.Process {
			return g, nil
		}
	}
	return session.Group{}, errors.New("the process is not shown")
}

// sessionCommand is the console's command for a session of its own, which is
// kdap's, not the debugger's.
var sessionCommand = regexp.MustCompile(`^\s*\.process\s+/s\s+(?:0x|0n)?([0-9a-fA-F]+)\s*;?\s*$`)

func (a *Adapter) openFromConsole(s *session.Session, digits string) (any, error) {
	for _, base := range []int{16, 10} { // ids are hexadecimal in the console
		id, err := strconv.ParseUint(digits, base, 64)
		if err != nil {
			continue
		}
		for _, g := range s.Groups() {
			if g.PID != nil && *g.PID == id {
				return dap.EvaluateResponseBody{}, a.openGroup(g)
			}
		}
	}
	return nil, fmt.Errorf("no process %s is shown", digits)
}
