package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
)

// ErrNotLoopback is the answer to addresses that other machines can reach.
var ErrNotLoopback = errors.New(
	"only loopback addresses are served: give 127.0.0.1:PORT and reach it from elsewhere through a tunnel (ssh -L)")

// CheckLoopback reports whether host:port is an address of this machine alone.
func CheckLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not host:port", addr)
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return ErrNotLoopback
	}
	return nil
}

// ListenAndServe serves clients on a loopback port until the context ends.
// ready is told the address, whose port may have been chosen by the system.
func (e *Engine) ListenAndServe(ctx context.Context, addr string, log io.Writer, ready func(net.Addr)) error {
	if err := CheckLoopback(addr); err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	ready(l.Addr())
	go func() {
		<-ctx.Done()
		l.Close()
	}()
	var clients sync.WaitGroup
	defer clients.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		clients.Go(func() { e.Serve(ctx, conn, log) })
	}
}

// stdio is a process's standard input and output as a connection.
type stdio struct{}

func (stdio) Read(p []byte) (int, error)  { return os.Stdin.Read(p) }
func (stdio) Write(p []byte) (int, error) { return os.Stdout.Write(p) }
func (stdio) Close() error                { return os.Stdin.Close() }

// Stdio returns standard input and output as a connection.
func Stdio() io.ReadWriteCloser { return stdio{} }
