package rpc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestListenCheck(t *testing.T) {
	cert := Listen{TLSCert: "c", TLSKey: "k", Token: "0123456789abcdef"}
	for addr, ok := range map[string]bool{"127.0.0.1:1": true, "0.0.0.0:1": false, ":1": false, "example.com:1": false, "nonsense": false} {
		if err := (Listen{Addr: addr}).Check(); (err == nil) != ok {
			t.Errorf("%q alone: %v", addr, err)
		}
		cert.Addr = addr
		if err := cert.Check(); (err == nil) != (addr != "nonsense") {
			t.Errorf("%q with a certificate and a token: %v", addr, err)
		}
	}
	for _, l := range []Listen{{TLSCert: "c", TLSKey: "k"}, {Token: "0123456789abcdef"}, {TLSCert: "c", Token: "0123456789abcdef"}} {
		l.Addr = "0.0.0.0:1"
		if l.Check() == nil {
			t.Errorf("%+v is served", l)
		}
	}
}

func TestReadToken(t *testing.T) {
	f := filepath.Join(t.TempDir(), "token")
	for text, want := range map[string]string{"  0123456789abcdef\n": "0123456789abcdef", "short\n": "", "": ""} {
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadToken(f); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := ReadToken(f + "x"); err == nil {
		t.Error("a token out of nothing")
	}
}

// certificate writes a certificate for this machine and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kdap test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: kder}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestTLSAndToken: only who trusts the certificate and knows the token gets an answer.
func TestTLSAndToken(t *testing.T) {
	const token = "0123456789abcdef"
	cert, key := certificate(t)
	ctx, stop := context.WithCancel(t.Context())
	addr := make(chan string, 1)
	served := make(chan error, 1)
	go func() {
		served <- NewEngine("test").ListenAndServe(ctx, Listen{Addr: "127.0.0.1:0", TLSCert: cert, TLSKey: key, Token: token}, t.Output(),
			func(a net.Addr) { addr <- a.String() })
	}()
	d := Dial{Addr: <-addr, TLS: true, CA: cert, Token: token}
	c, err := Connect(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	c.Close()
	for _, wrong := range []string{"", "0123456789abcdeg", token + "0"} {
		bad := d
		bad.Token = wrong
		if _, err := Connect(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "token") {
			t.Errorf("token %q: %v", wrong, err)
		}
	}
	untrusting := d
	untrusting.CA = ""
	if _, err := Connect(t.Context(), untrusting); err == nil {
		t.Error("a certificate that nobody vouches for is taken")
	}
	plain := d
	plain.TLS = false
	short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := Connect(short, plain); err == nil {
		t.Error("an engine with TLS answers without")
	}
	if _, err := Connect(t.Context(), Dial{Addr: "192.0.2.1:1"}); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("another machine without TLS and token: %v", err)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestTokenComesFirst: a client that says anything else is shown out.
func TestTokenComesFirst(t *testing.T) {
	here, there := net.Pipe()
	done := make(chan struct{})
	go func() {
		NewEngine("test").serve(context.Background(), there, t.Output(), "0123456789abcdef")
		close(done)
	}()
	c := NewClient(here)
	var e *Error
	if err := c.Ping(t.Context()); !errors.As(err, &e) || e.Code != CodeToken {
		t.Errorf("ping: %v", err)
	}
	<-done
}
