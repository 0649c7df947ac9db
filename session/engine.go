package session

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"kdap/engine/rpc"
)

// An engineConn is a connection to an engine, and the process when it was
// started for it.
type engineConn struct {
	client *rpc.Client
	cmd    *exec.Cmd // nil for an engine that runs elsewhere
	stderr *lastLines
	gone   func(error)

	pingEvery, patience time.Duration

	mu      sync.Mutex
	users   map[*Session]bool
	closing bool          // by us
	reason  error         // why it ended, once ended is closed
	ended   chan struct{} // closed when it has ended and reason is set
	exited  chan error    // of the process
}

// Supervision of an engine.
const (
	pingInterval  = 5 * time.Second
	pingPatience  = 20 * time.Second // an engine whose reading loop is silent for so long hangs
	exitPatience  = 2 * time.Second
	maxLastLines  = 20
	maxLineLength = 500
)

func connect(ctx context.Context, o Options) (*engineConn, error) {
	e := &engineConn{
		gone: o.Gone, ended: make(chan struct{}), stderr: &lastLines{},
		pingEvery: cmp.Or(o.pingEvery, pingInterval), patience: cmp.Or(o.patience, pingPatience),
	}
	if o.Engine != "" {
		d := rpc.Dial{Addr: o.Engine, CA: o.EngineCA}
		d.Addr, d.TLS = strings.CutPrefix(d.Addr, "tls://")
		var err error
		if o.EngineTokenFile != "" {
			if d.Token, err = rpc.ReadToken(o.EngineTokenFile); err != nil {
				return nil, fmt.Errorf("the engine's token: %w", err)
			}
		}
		if e.client, err = rpc.Connect(ctx, d); err != nil {
			return nil, err
		}
	} else {
		rw, err := e.start(o.Program)
		if err != nil {
			return nil, err
		}
		e.client = rpc.NewClient(rw)
	}
	e.client.OnSymbols(e.changeSymbols)
	go e.watch()
	go e.ping()
	return e, nil
}

// enter counts a session among those that are told what changes.
func (e *engineConn) enter(s *Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.users == nil {
		e.users = map[*Session]bool{}
	}
	e.users[s] = true
}

func (e *engineConn) leave(s *Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.users, s)
}

func (e *engineConn) changeSymbols(now rpc.OpenResult) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.users {
		s.changeSymbols(now)
	}
}

func (e *engineConn) start(program []string) (io.ReadWriteCloser, error) {
	if len(program) == 0 {
		return nil, errors.New("no program to start an engine with")
	}
	cmd := exec.Command(program[0], program[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = e.stderr
	cmd.WaitDelay = exitPatience
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("the engine cannot be started: %w", err)
	}
	e.cmd, e.exited = cmd, make(chan error, 1)
	return pipes{bufio.NewReader(out), in, out}, nil
}

// pipes are a process's standard input and output as one connection.
type pipes struct {
	io.Reader
	io.WriteCloser
	out io.Closer
}

func (p pipes) Close() error { return errors.Join(p.WriteCloser.Close(), p.out.Close()) }

// watch waits for the end of the connection and finds out what was the matter.
func (e *engineConn) watch() {
	<-e.client.Done()
	var exit error
	if e.cmd != nil {
		go func() { e.exited <- e.cmd.Wait() }()
		select {
		case exit = <-e.exited:
		case <-time.After(exitPatience):
			_ = e.cmd.Process.Kill()
			exit = <-e.exited
		}
	}
	e.mu.Lock()
	if e.reason == nil {
		e.reason = e.epitaph(exit)
	}
	closing, reason := e.closing, e.reason
	e.mu.Unlock()
	close(e.ended)
	if !closing && e.gone != nil {
		e.gone(reason)
	}
}

func (e *engineConn) epitaph(exit error) error {
	var b strings.Builder
	switch {
	case e.cmd == nil:
		b.WriteString("the engine closed the connection")
	case exit != nil:
		fmt.Fprintf(&b, "the engine stopped (%v)", exit)
	default:
		b.WriteString("the engine stopped")
	}
	if last := e.stderr.String(); last != "" {
		b.WriteString("; its last words:\n" + last)
	}
	return errors.New(b.String())
}

// ping ends an engine that no longer answers at all.
func (e *engineConn) ping() {
	for {
		select {
		case <-e.client.Done():
			return
		case <-time.After(e.pingEvery):
		}
		ctx, cancel := context.WithTimeout(context.Background(), e.patience)
		err := e.client.Ping(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			e.mu.Lock()
			e.reason = fmt.Errorf("the engine did not answer for %v and was ended", e.patience)
			e.mu.Unlock()
			e.kill()
			return
		}
	}
}

func (e *engineConn) kill() {
	if e.cmd != nil {
		_ = e.cmd.Process.Kill()
	}
	_ = e.client.Close()
}

// close ends the engine; one that was joined goes on for others.
func (e *engineConn) close() {
	e.mu.Lock()
	e.closing = true
	e.mu.Unlock()
	_ = e.client.Close()
	<-e.ended
}

// explain replaces the error of a connection that has ended by the reason.
func (e *engineConn) explain(err error) error {
	if !errors.Is(err, rpc.ErrGone) {
		return err
	}
	select {
	case <-e.ended:
	case <-time.After(2 * exitPatience):
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return &EngineGoneError{e.reason}
}

// An EngineGoneError says that the engine has ended, and why.
type EngineGoneError struct{ Reason error }

func (e *EngineGoneError) Error() string {
	return e.Reason.Error() + "\nRestart opens the dump again."
}

func (e *EngineGoneError) Unwrap() error { return e.Reason }

// lastLines keeps the last lines written to it.
type lastLines struct {
	mu    sync.Mutex
	lines []string
	part  []byte
}

func (l *lastLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			if len(l.part) < maxLineLength {
				l.part = append(l.part, p[:min(len(p), maxLineLength)]...)
			}
			break
		}
		l.add(string(append(l.part, p[:min(i, maxLineLength)]...)))
		l.part, p = l.part[:0], p[i+1:]
	}
	return n, nil
}

func (l *lastLines) add(line string) {
	l.lines = append(l.lines, line)
	if len(l.lines) <= maxLastLines {
		return
	}
	// A crash begins with what happened and goes on for hundreds of lines of
	// stacks: its first lines stay.
	if i := crashLine(l.lines); i >= 0 && i < maxLastLines/2 {
		l.lines = append(l.lines[:maxLastLines-1], l.lines[maxLastLines:]...)
		return
	}
	l.lines = l.lines[1:]
}

func crashLine(lines []string) int {
	for i, s := range lines {
		if strings.HasPrefix(s, "panic:") || strings.HasPrefix(s, "fatal error:") || strings.HasPrefix(s, "unexpected fault") {
			return i
		}
	}
	return -1
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.lines
	if len(l.part) > 0 {
		all = append(all[:len(all):len(all)], string(l.part))
	}
	return strings.Join(all, "\n")
}
