package source

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"kdap/engine/pdb"
	"kdap/engine/symbols"
)

// A Remote fetches source files from where symbol files say that they are, and
// keeps them in a cache. Nothing comes into the cache that is not the file the
// program was compiled from, where the symbol file has its checksum.
type Remote struct {
	Dir      string // the cache
	Timeouts symbols.Timeouts

	client func() *http.Client

	mu      sync.Mutex
	origins map[*pdb.File]*Origins
	failed  map[string]failure // by address, and by host
}

// A failure is remembered for a while.
type failure struct {
	err   error
	until time.Time
}

// Times and bounds of fetching.
const (
	missingFor = 10 * time.Minute // what a server refused
	deadFor    = time.Minute      // a server that does not answer
	wholeFor   = 2 * time.Minute  // one file
	maxAddress = 4 << 10
	maxFailed  = 10000
)

// NewRemote returns a Remote with a cache in dir.
func NewRemote(dir string, t symbols.Timeouts) *Remote {
	return &Remote{
		Dir: dir, Timeouts: t, client: sync.OnceValue(t.Client),
		origins: map[*pdb.File]*Origins{}, failed: map[string]failure{},
	}
}

// Reasons not to fetch a file.
var (
	ErrNoOrigin = errors.New("the symbols do not say where it can be had")
	ErrRefused  = errors.New("not fetched")
	ErrOther    = errors.New("what came is not the file that was compiled")
)

// Origin returns where the symbols say that a source file can be had.
func (r *Remote) Origin(f *pdb.File, name string) (Extraction, bool) {
	if f == nil {
		return Extraction{}, false
	}
	r.mu.Lock()
	o := r.origins[f]
	if o == nil {
		o = OriginsOf(f)
		r.origins[f] = o
	}
	r.mu.Unlock()
	return o.Find(name)
}

// Fetch returns a source file that a symbol file names, from the cache where it
// is there. With another cache than the usual one that is meant.
func (r *Remote) Fetch(ctx context.Context, f *pdb.File, name, cache string) (File, error) {
	e, ok := r.Origin(f, name)
	if !ok {
		return File{}, fmt.Errorf("%s: %w", name, ErrNoOrigin)
	}
	known, ok := f.FindSource(name)
	if !ok {
		return File{}, fmt.Errorf("%s: %w: the symbols name no such file", name, ErrRefused)
	}
	u, err := e.address()
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", name, err)
	}
	if cache == "" {
		cache = r.Dir
	}
	path, err := cachePath(cache, u, known)
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", name, err)
	}
	file := File{Name: name, Path: path, From: u.String(), disk: path}
	if b, err := readFile(path); err == nil {
		if _, ok := verified(b, known); ok {
			return file, nil
		}
	}
	b, err := r.get(ctx, u)
	if err != nil {
		return File{}, fmt.Errorf("%s: %s: %w", name, u, err)
	}
	b, ok = verified(b, known)
	if !ok {
		err := fmt.Errorf("%w: its %s is another one", ErrOther, hashName(known.HashKind))
		r.remember(u.String(), err, missingFor)
		return File{}, fmt.Errorf("%s: %s: %w", name, u, err)
	}
	return file, keep(path, b)
}

// address returns the address that a file is fetched from. What else symbol
// files can name is refused: nothing that they say is run.
func (e Extraction) address() (*url.URL, error) {
	text, ok := e.URL()
	switch {
	case !ok && e.Command != "":
		return nil, fmt.Errorf("%w: the symbols want a program run for it, which kdap never does: %s", ErrRefused, clip(e.Command))
	case !ok:
		return nil, fmt.Errorf("%w: the symbols name a place that is no HTTP address: %s", ErrRefused, clip(e.Target))
	case len(text) > maxAddress:
		return nil, fmt.Errorf("%w: its address has %d characters", ErrRefused, len(text))
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	case u.Host == "" || u.Opaque != "" || u.User != nil:
		return nil, fmt.Errorf("%w: %s is not the address of a file", ErrRefused, clip(text))
	}
	u.Fragment = ""
	return u, nil
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// cachePath is where a file is kept: a folder for its address and checksum,
// and in it the last part of its name.
func cachePath(dir string, u *url.URL, f pdb.SourceFile) (string, error) {
	if dir == "" {
		return "", fmt.Errorf("%w: there is no cache folder", ErrRefused)
	}
	name, err := symbols.FileName(f.Name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrRefused, err)
	}
	key := sha256.Sum256([]byte(u.String() + "\x00" + f.Hash))
	return filepath.Join(dir, "sources", hex.EncodeToString(key[:16]), name), nil
}

func readFile(path string) ([]byte, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readLimited(r)
}

func readLimited(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%w: it has more than %d bytes", ErrRefused, maxFile)
	}
	return b, err
}

// get sends the request.
func (r *Remote) get(ctx context.Context, u *url.URL) ([]byte, error) {
	if err := r.before(u); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, wholeFor)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	req.Header.Set("User-Agent", "kdap")
	resp, err := r.client().Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // the address stands before it already
		}
		if !errors.Is(ctx.Err(), context.Canceled) {
			r.remember(u.Host, err, deadFor)
		}
		return nil, err
	}
	defer resp.Body.Close()
	switch kind := resp.Header.Get("Content-Type"); {
	case resp.StatusCode != http.StatusOK:
		err = fmt.Errorf("the server answers %s", resp.Status)
	case resp.ContentLength > maxFile:
		err = fmt.Errorf("%w: it has %d bytes", ErrRefused, resp.ContentLength)
	case strings.HasPrefix(kind, "text/html") && !strings.Contains(strings.ToLower(u.Path), ".htm"):
		err = fmt.Errorf("%w: a page for people came, such as one that asks for a password", ErrOther)
	default:
		b, err := readLimited(resp.Body)
		return b, err
	}
	r.remember(u.String(), err, missingFor)
	return nil, err
}

// before returns a failure that is remembered.
func (r *Remote) before(u *url.URL) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range []string{u.Host, u.String()} {
		if f, ok := r.failed[key]; ok {
			if time.Now().Before(f.until) {
				return fmt.Errorf("not asked again, it failed before: %w", f.err)
			}
			delete(r.failed, key)
		}
	}
	return nil
}

func (r *Remote) remember(key string, err error, d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failed) < maxFailed {
		r.failed[key] = failure{err, time.Now().Add(d)}
	}
}

// hashes are the checksums that compilers write, as CodeView numbers them.
var hashes = map[uint8]struct {
	name string
	make func() hash.Hash
}{
	1: {"MD5", md5.New}, 2: {"SHA-1", sha1.New}, 3: {"SHA-256", sha256.New},
}

func hashName(kind uint8) string {
	if h, ok := hashes[kind]; ok {
		return h.name
	}
	return "checksum"
}

// verified returns the text as it was compiled. Servers of version control
// systems may give other line ends than the compiler saw. Without a checksum
// everything counts.
func verified(b []byte, f pdb.SourceFile) ([]byte, bool) {
	if f.HashKind == 0 && f.Hash == "" {
		return b, true
	}
	h, ok := hashes[f.HashKind]
	if !ok {
		return b, false
	}
	unix := bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	for _, text := range [][]byte{b, unix, bytes.ReplaceAll(unix, []byte("\n"), []byte("\r\n"))} {
		sum := h.make()
		sum.Write(text)
		if string(sum.Sum(nil)) == f.Hash {
			return text, true
		}
	}
	return b, false
}

// keep writes a file such that it is there whole or not at all.
func keep(path string, b []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".part-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}
