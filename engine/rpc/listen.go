package rpc

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// ErrNotLoopback is the answer to addresses that other machines can reach.
var ErrNotLoopback = errors.New(
	"other machines can reach this address, so a certificate (--tls-cert, --tls-key) and a token (--token-file) are needed; " +
		"or give 127.0.0.1:PORT and reach it through a tunnel (ssh -L)")

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

// Listen says where an engine is served, and who may use it.
type Listen struct {
	Addr    string
	TLSCert string // file; with TLSKey
	TLSKey  string
	Token   string // clients must know it; "" for none
}

// minToken is how long a token must be, so that nobody can guess it.
const minToken = 16

// ReadToken reads a token from a file: its text without the blanks around it.
func ReadToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(b))
	if len(token) < minToken {
		return "", fmt.Errorf("%s: a token has at least %d characters", path, minToken)
	}
	return token, nil
}

// Check reports whether the address may be served like that.
func (l Listen) Check() error {
	if (l.TLSCert == "") != (l.TLSKey == "") {
		return errors.New("a certificate and its key belong together (--tls-cert, --tls-key)")
	}
	err := CheckLoopback(l.Addr)
	if errors.Is(err, ErrNotLoopback) && l.TLSCert != "" && l.Token != "" {
		return nil
	}
	return err
}

func (l Listen) listen(ctx context.Context) (net.Listener, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	plain, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.Addr)
	if err != nil || l.TLSCert == "" {
		return plain, err
	}
	pair, err := tls.LoadX509KeyPair(l.TLSCert, l.TLSKey)
	if err != nil {
		plain.Close()
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return tls.NewListener(plain, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}), nil
}

// ListenAndServe serves clients until the context ends. ready is told the
// address, whose port may have been chosen by the system.
func (e *Engine) ListenAndServe(ctx context.Context, where Listen, log io.Writer, ready func(net.Addr)) error {
	l, err := where.listen(ctx)
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
		clients.Go(func() { e.serve(ctx, conn, log, where.Token) })
	}
}

// knows reports whether a client gave the right token, without telling by the
// time it takes how much of it was right.
func knows(token, given string) bool {
	return token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(given)) == 1
}

// Dial says which engine to connect to.
type Dial struct {
	Addr  string // host:port
	TLS   bool   // always, when the address is not of this machine alone
	CA    string // file with the certificates to trust instead of the system's
	Token string
}

// dialPatience bounds the time until an engine answers.
const dialPatience = 10 * time.Second

// Connect connects to an engine that listens.
func Connect(ctx context.Context, d Dial) (*Client, error) {
	err := CheckLoopback(d.Addr)
	remote := errors.Is(err, ErrNotLoopback)
	switch {
	case remote && d.Token == "":
		return nil, fmt.Errorf("engine %q is on another machine: it needs TLS and a token; or forward a port of this one to it", d.Addr)
	case err != nil && !remote:
		return nil, fmt.Errorf("engine: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	var conn net.Conn
	if remote || d.TLS {
		config := &tls.Config{MinVersion: tls.VersionTLS13}
		if config.RootCAs, err = roots(d.CA); err != nil {
			return nil, err
		}
		conn, err = (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", d.Addr)
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", d.Addr)
	}
	if err != nil {
		return nil, fmt.Errorf("no engine answers at %s: %w", d.Addr, err)
	}
	c := NewClient(conn)
	if err := c.Call(ctx, "initialize", InitializeParams{Token: d.Token}, nil); err != nil {
		c.Close()
		return nil, fmt.Errorf("engine at %s: %w", d.Addr, err)
	}
	return c, nil
}

// roots reads certificates; nil are the system's.
func roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s: no certificates", file)
	}
	return pool, nil
}

// stdio is a process's standard input and output as a connection.
type stdio struct{}

func (stdio) Read(p []byte) (int, error)  { return os.Stdin.Read(p) }
func (stdio) Write(p []byte) (int, error) { return os.Stdout.Write(p) }
func (stdio) Close() error                { return os.Stdin.Close() }

// Stdio returns standard input and output as a connection.
func Stdio() io.ReadWriteCloser { return stdio{} }
