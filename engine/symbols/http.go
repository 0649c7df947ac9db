package symbols

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Limits of talking to servers. Tests shorten the times.
const (
	maxRedirects   = 5
	maxPerServer   = 8 // connections
	attempts       = 3 // of one file that breaks off
	missingFor     = 24 * time.Hour
	failuresToDead = 3
)

// Timeouts are how long a Finder waits for servers; zero fields mean the default.
type Timeouts struct {
	Connect time.Duration // 5 s
	Answer  time.Duration // from request to the head of the answer, 20 s
	Stall   time.Duration // without any byte, 30 s
	Dead    time.Duration // how long a server that failed is left alone, 1 min
}

func (t Timeouts) withDefaults() Timeouts {
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&t.Connect, 5 * time.Second}, {&t.Answer, 20 * time.Second}, {&t.Stall, 30 * time.Second}, {&t.Dead, time.Minute}} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	return t
}

// Progress is how far a download is.
type Progress struct {
	URL         string
	Done, Total int64 // Total is -1 when the server does not tell
}

// servers are the symbol servers that a Finder talks to.
type servers struct {
	mu   sync.Mutex
	list map[string]*server
}

// A server is one address of a path. What it does is remembered: that it is
// dead, so that it costs one timeout and not one a module, and its layout.
type server struct {
	base   *url.URL
	client *http.Client
	times  Timeouts

	first   sync.Mutex // held by the first request, so that only one waits for a dead server
	mu      sync.Mutex
	alive   bool
	fails   int
	deadErr error
	until   time.Time

	twoTier func() bool
}

// server returns the state of a server, making it on first use.
func (f *Finder) server(address string) (*server, error) {
	f.http.mu.Lock()
	defer f.http.mu.Unlock()
	if s, ok := f.http.list[address]; ok {
		return s, nil
	}
	base, err := url.Parse(strings.TrimRight(address, "/"))
	if err != nil {
		return nil, err
	}
	if base.Host == "" {
		return nil, fmt.Errorf("address %q has no host", address)
	}
	times := f.Timeouts.withDefaults()
	s := &server{base: base, times: times}
	s.client = times.Client()
	s.twoTier = sync.OnceValue(func() bool {
		resp, err := s.get(context.Background(), s.base.JoinPath("index2.txt"), nil)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	if f.http.list == nil {
		f.http.list = map[string]*server{}
	}
	f.http.list[address] = s
	return s, nil
}

// Client returns what servers are talked to with: by way of the environment's
// proxy, with limits on waiting and on redirects, never from https to http.
func (t Timeouts) Client() *http.Client {
	t = t.withDefaults()
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: t.Connect}).DialContext,
			TLSHandshakeTimeout:   t.Connect,
			ResponseHeaderTimeout: t.Answer,
			MaxConnsPerHost:       maxPerServer,
			MaxIdleConnsPerHost:   maxPerServer,
			IdleConnTimeout:       30 * time.Second,
			ForceAttemptHTTP2:     true,
			DisableCompression:    true, // sizes and ranges are of the file itself
		},
		CheckRedirect: checkRedirect,
	}
}

func checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case req.URL.Scheme != "https" && via[0].URL.Scheme == "https":
		return errors.New("redirected from https to " + req.URL.Scheme)
	case req.URL.Scheme != "https" && req.URL.Scheme != "http":
		return errors.New("redirected to " + req.URL.Scheme)
	}
	return nil
}

// A deadError says that a server was not asked because it failed before.
type deadError struct{ err error }

func (e *deadError) Error() string { return "not asked, it failed before: " + e.err.Error() }

// get sends one request and counts how the server does.
func (s *server) get(ctx context.Context, u *url.URL, header http.Header) (*http.Response, error) {
	if err := s.dead(); err != nil {
		return nil, err
	}
	if !s.isAlive() {
		s.first.Lock()
		defer s.first.Unlock()
		if err := s.dead(); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "kdap")
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := s.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.failed(plainError(err), true)
		return nil, plainError(err)
	}
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
		s.failed(fmt.Errorf("server answered %s", resp.Status), false)
	} else {
		s.mu.Lock()
		s.alive, s.fails = true, 0
		s.mu.Unlock()
	}
	return resp, nil
}

// plainError takes method and address off, which the report has.
func plainError(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		if e.Timeout() {
			return errors.New("no answer in time")
		}
		return e.Err
	}
	return err
}

func (s *server) isAlive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alive
}

func (s *server) dead() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deadErr != nil && time.Now().Before(s.until) {
		return &deadError{s.deadErr}
	}
	return nil
}

// failed counts a failure. One that did not even connect is enough.
func (s *server) failed(err error, connection bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails++; connection && !s.alive || s.fails >= failuresToDead {
		s.deadErr, s.until = err, time.Now().Add(s.times.Dead)
	}
}

// errMissing is a server's plain no.
var errMissing = errors.New("not found")

// download asks a server for the file, then for the compressed one, then for a
// pointer, and keeps what it gets in the first of the stores.
func (s *search) download(address string, stores []string) (Found, bool) {
	srv, err := s.server(address)
	if err != nil {
		s.r.add(address, Refused, err.Error())
		return Found{}, false
	}
	if len(stores) == 0 {
		stores = s.defaultCache()
	}
	switch {
	case s.Offline:
		s.r.add(address, Refused, "servers are not asked")
		return Found{}, false
	case len(stores) == 0:
		s.r.add(address, Refused, "there is no cache folder to download to")
		return Found{}, false
	}
	if found, ok := s.cached(stores); ok {
		return found, true
	}
	memory := filepath.Join(s.CacheDir, "missing", fmt.Sprintf("%x", sha256.Sum256([]byte(address+"\x00"+s.name+"\x00"+s.storeKey())))[:32])
	if s.CacheDir != "" && !s.Fresh {
		if st, err := os.Stat(memory); err == nil && time.Since(st.ModTime()) < missingFor {
			s.r.add(address, NotFound, "remembered from "+st.ModTime().Format(time.DateTime))
			return Found{}, false
		}
	}
	found, err := s.fromServer(srv, stores, nil)
	if errors.Is(err, errMissing) && srv.twoTier() {
		found, err = s.fromServer(srv, stores, []string{twoTier(s.name)})
	}
	switch {
	case err == nil:
		return found, true
	case errors.Is(err, errMissing):
		s.r.add(address, NotFound, "")
		if s.CacheDir != "" && os.MkdirAll(filepath.Dir(memory), 0o755) == nil {
			_ = os.WriteFile(memory, nil, 0o644)
		}
	case errors.Is(err, errReported):
	default:
		s.r.add(address, Failed, err.Error())
	}
	return Found{}, false
}

// errReported stands for a reason that is in the report already.
var errReported = errors.New("reported")

// fromServer tries the three files that a store may hold.
func (s *search) fromServer(srv *server, stores, prefix []string) (Found, error) {
	dir := srv.base.JoinPath(append(prefix, url.PathEscape(s.name), s.storeKey())...)
	at := func(name string) *url.URL { return dir.JoinPath(url.PathEscape(name)) }
	done := func(found Found, ok bool) (Found, error) {
		if !ok {
			return Found{}, errReported
		}
		return found, nil
	}
	plain := at(s.name)
	part, err := s.transfer(srv, plain, stores)
	if err == nil {
		defer remove(part)
		return done(s.put(plain.String(), stores, copyFrom(part)))
	}
	if !errors.Is(err, errMissing) {
		return Found{}, err
	}
	packed := at(compressedName(s.name))
	part, err = s.transfer(srv, packed, stores)
	if err == nil {
		defer remove(part)
		return done(s.put(packed.String(), stores, func(w io.Writer) error {
			in, err := os.Open(part)
			if err != nil {
				return err
			}
			defer in.Close()
			return unpackTo(in, w)
		}))
	}
	if !errors.Is(err, errMissing) {
		return Found{}, err
	}
	return s.remotePointer(srv, at("file.ptr"), stores)
}

func copyFrom(path string) func(io.Writer) error {
	return func(w io.Writer) error {
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		_, err = io.Copy(w, in)
		return err
	}
}

// remotePointer follows a server's file.ptr, which may lead to the same host
// only: a server must not send us elsewhere, least of all to local files.
func (s *search) remotePointer(srv *server, u *url.URL, stores []string) (Found, error) {
	resp, err := srv.get(s.ctx, u, nil)
	if err != nil {
		return Found{}, err
	}
	defer resp.Body.Close()
	if err := statusError(resp); err != nil {
		return Found{}, err
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return Found{}, err
	}
	text, _, _ := strings.Cut(strings.TrimSpace(decodeText(b)), "\n")
	if msg, ok := cutPrefixFold(text, "MSG:"); ok {
		s.r.add(u.String(), Refused, strings.ToValidUTF8(clip(strings.TrimSpace(msg)), "?"))
		return Found{}, errReported
	}
	path, _ := cutPrefixFold(text, "PATH:")
	target, err := u.Parse(strings.TrimSpace(path))
	if err != nil || target.Host != srv.base.Host || target.Scheme != srv.base.Scheme {
		s.r.add(u.String(), Refused, fmt.Sprintf("it points to %q, which is not on this server", clip(path)))
		return Found{}, errReported
	}
	part, err := s.transfer(srv, target, stores)
	if err != nil {
		return Found{}, err
	}
	defer remove(part)
	if found, ok := s.put(target.String(), stores, copyFrom(part)); ok {
		return found, nil
	}
	return Found{}, errReported
}

// statusError turns the status of an answer into a reason; nil for a body.
func statusError(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent:
		return nil
	case http.StatusNotFound, http.StatusGone:
		return errMissing
	}
	return fmt.Errorf("server answered %s", resp.Status)
}
