package symbols

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A download that breaks off is kept as a file of this name, and the next one
// goes on from there. Whoever goes on renames it first, so that no two
// processes write to one file. What the server said about the version is
// behind the data: the text, its length in two bytes, and the mark.
const (
	resumeName = ".resume-"
	resumeMark = "KDAPRES1"
	maxTag     = 512
)

// transfer downloads to a temporary file in the first store that takes one, and
// returns its name.
func (s *search) transfer(srv *server, u *url.URL, stores []string) (string, error) {
	var failure error
	for _, store := range stores {
		dir := filepath.Join(store, s.name, s.storeKey())
		if err := os.MkdirAll(dir, 0o755); err != nil {
			failure = err
			continue
		}
		path, err := s.transferTo(srv, u, dir)
		if err != nil {
			remove(dir) // both go only when they are empty
			remove(filepath.Dir(dir))
		}
		return path, err
	}
	return "", failure
}

func (s *search) transferTo(srv *server, u *url.URL, dir string) (string, error) {
	resume := filepath.Join(dir, resumeName+filepath.Base(u.Path))
	var last error
	for attempt := range attempts {
		if attempt > 0 {
			select {
			case <-s.ctx.Done():
				return "", s.ctx.Err()
			case <-time.After(100 * time.Millisecond << attempt):
			}
		}
		path, retry, err := s.attempt(srv, u, dir, resume)
		if err == nil || !retry {
			return path, err
		}
		last = err
	}
	return "", last
}

// attempt sends one request, going on where an earlier one broke off.
func (s *search) attempt(srv *server, u *url.URL, dir, resume string) (path string, retry bool, err error) {
	tmp, have, tag, err := openPart(dir, resume)
	if err != nil {
		return "", false, err
	}
	keep := false
	defer func() {
		_ = tmp.Close()
		if keep && os.Rename(tmp.Name(), resume) == nil {
			return
		}
		if err != nil {
			remove(tmp.Name())
		}
	}()
	header := http.Header{}
	if have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", have))
		header.Set("If-Range", tag)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	resp, err := srv.get(ctx, u, header)
	if err != nil {
		keep = have > 0
		if keep {
			writeTag(tmp, tag)
		}
		return "", false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return "", true, errors.New("server does not know the rest of the file") // anew, without the part
	}
	if err := statusError(resp); err != nil {
		return "", resp.StatusCode >= 500, err
	}
	if resp.StatusCode == http.StatusPartialContent {
		if from, ok := rangeStart(resp.Header.Get("Content-Range")); !ok || from != have {
			return "", true, errors.New("server sent another range than was asked for")
		}
	} else if have > 0 {
		have = 0
		if err := restart(tmp); err != nil {
			return "", false, err
		}
	}
	total := int64(-1)
	if resp.ContentLength >= 0 {
		total = have + resp.ContentLength
	}
	if total > maxUnpacked {
		return "", false, fmt.Errorf("server promises %d bytes", total)
	}
	n, err := s.copyBody(tmp, resp.Body, cancel, srv.times.Stall, Progress{URL: u.String(), Done: have, Total: total})
	have += n
	if err == nil && total >= 0 && have != total {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		return tmp.Name(), false, nil
	}
	if tag = validator(resp.Header); tag != "" && have > 0 {
		keep = writeTag(tmp, tag) == nil
	}
	if s.ctx.Err() != nil {
		return "", false, s.ctx.Err()
	}
	return "", true, fmt.Errorf("broke off after %d bytes: %w", have, plainError(err))
}

// copyBody copies what comes, until nothing comes for the time of a stall.
func (s *search) copyBody(w io.Writer, r io.Reader, cancel func(), stall time.Duration, p Progress) (int64, error) {
	var stalled atomic.Bool
	timer := time.AfterFunc(stall, func() { stalled.Store(true); cancel() })
	defer timer.Stop()
	buf := make([]byte, 256<<10)
	n := int64(0)
	for {
		k, err := r.Read(buf)
		if k > 0 {
			timer.Reset(stall)
			if _, werr := w.Write(buf[:k]); werr != nil {
				return n, werr
			}
			n += int64(k)
			p.Done += int64(k)
			if p.Done > maxUnpacked {
				return n, fmt.Errorf("more than %d bytes", int64(maxUnpacked))
			}
			if s.Progress != nil {
				s.Progress(p)
			}
		}
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil && stalled.Load():
			return n, fmt.Errorf("no byte for %s", stall)
		case err != nil:
			return n, err
		case s.ctx.Err() != nil: // what has come already may be read for a while yet
			return n, s.ctx.Err()
		}
	}
}

// openPart takes over a broken download, or makes an empty file.
func openPart(dir, resume string) (f *os.File, have int64, tag string, err error) {
	f, err = os.CreateTemp(dir, ".part-*")
	if err != nil {
		return nil, 0, "", err
	}
	if os.Rename(resume, f.Name()) != nil {
		return f, 0, "", nil
	}
	// The name is ours now; the handle is still of the empty file.
	name := f.Name()
	_ = f.Close()
	if f, err = os.OpenFile(name, os.O_RDWR, 0o644); err != nil {
		return nil, 0, "", err
	}
	if have, tag = readTag(f); tag == "" {
		have = 0
	}
	if err = f.Truncate(have); err == nil {
		_, err = f.Seek(have, io.SeekStart)
	}
	if err != nil {
		_ = f.Close()
		remove(name)
		return nil, 0, "", err
	}
	return f, have, tag, nil
}

// readTag returns how many bytes of a part are data, and of which version.
func readTag(f *os.File) (int64, string) {
	st, err := f.Stat()
	if err != nil || st.Size() < int64(len(resumeMark)+2) {
		return 0, ""
	}
	end := make([]byte, len(resumeMark)+2)
	at := st.Size() - int64(len(end))
	if _, err := f.ReadAt(end, at); err != nil || string(end[2:]) != resumeMark {
		return 0, ""
	}
	n := int64(binary.LittleEndian.Uint16(end))
	if n == 0 || n > maxTag || n > at {
		return 0, ""
	}
	tag := make([]byte, n)
	if _, err := f.ReadAt(tag, at-n); err != nil {
		return 0, ""
	}
	return at - n, string(tag)
}

func writeTag(f *os.File, tag string) error {
	b := append([]byte(tag), byte(len(tag)), byte(len(tag)>>8))
	_, err := f.Write(append(b, resumeMark...))
	return err
}

func restart(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// validator returns what tells one version of a file from another.
func validator(h http.Header) string {
	tag := h.Get("ETag")
	if strings.HasPrefix(tag, "W/") || tag == "" {
		tag = h.Get("Last-Modified")
	}
	if len(tag) > maxTag {
		return ""
	}
	return tag
}

// rangeStart reads "bytes 100-199/200".
func rangeStart(s string) (int64, bool) {
	s, ok := strings.CutPrefix(s, "bytes ")
	from, _, dash := strings.Cut(s, "-")
	n, err := strconv.ParseInt(from, 10, 64)
	return n, ok && dash && err == nil
}
