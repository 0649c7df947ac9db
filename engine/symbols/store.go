package symbols

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf16"

	"kdap/engine/symbols/cab"
)

// maxUnpacked bounds an unpacked symbol file. The largest public ones are near
// 1 GB.
const maxUnpacked = 4 << 30

// isStore reports whether a plain folder has this file as a symbol store has.
func (s *search) isStore(dir string) bool {
	if _, ok := s.folders.folder(dir, s.name); ok {
		return true
	}
	_, ok := s.folders.folder(dir, twoTier(s.name), s.name)
	return ok
}

// twoTier is the upper folder of a store that has index2.txt: the name's first
// two characters.
func twoTier(name string) string { return name[:min(2, len(name))] }

// local looks for name and key in a store on disk: the file itself, the
// compressed one, or a pointer to it. nearer are the stores in front of this one, where an
// unpacked file goes.
func (s *search) local(store string, nearer []string) (Found, bool) {
	layout := []string{s.name}
	if _, ok := s.folders.file(store, "index2.txt"); ok {
		layout = []string{twoTier(s.name), s.name}
	}
	dir, ok := s.folders.folder(store, append(layout, s.storeKey())...)
	if !ok {
		s.r.add(filepath.Join(dir, s.name), NotFound, "")
		return Found{}, false
	}
	if path, ok := s.folders.file(dir, s.name); ok {
		return s.check(path)
	}
	if path, ok := s.folders.file(dir, compressedName(s.name)); ok {
		return s.unpack(path, append(nearer[:len(nearer):len(nearer)], s.defaultCache()...))
	}
	if path, ok := s.folders.file(dir, "file.ptr"); ok {
		return s.pointer(path)
	}
	s.r.add(filepath.Join(dir, s.name), NotFound, "")
	return Found{}, false
}

func (s *search) defaultCache() []string {
	if dir := s.store(""); dir != "" {
		return []string{dir}
	}
	return nil
}

// compressedName replaces the last character by an underscore: ntdll.pd_.
func compressedName(name string) string {
	r := []rune(name)
	return string(r[:len(r)-1]) + "_"
}

// pointer follows a file.ptr: "PATH:" and a file, or "MSG:" and why there is
// none.
func (s *search) pointer(ptr string) (Found, bool) {
	b, err := readHead(ptr, 4096)
	if err != nil {
		s.r.add(ptr, Damaged, err.Error())
		return Found{}, false
	}
	text := decodeText(b)
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = strings.TrimSpace(text)
	if msg, ok := cutPrefixFold(text, "MSG:"); ok {
		s.r.add(ptr, Refused, strings.ToValidUTF8(clip(strings.TrimSpace(msg)), "?"))
		return Found{}, false
	}
	if path, ok := cutPrefixFold(text, "PATH:"); ok {
		text = strings.TrimSpace(path)
	}
	switch {
	case text == "" || strings.ContainsRune(text, 0):
		s.r.add(ptr, Damaged, "no path in it")
		return Found{}, false
	case isForeign(text):
		s.r.add(text, Refused, "a path of Windows, named by "+ptr)
		return Found{}, false
	case !filepath.IsAbs(text):
		text = filepath.Join(filepath.Dir(ptr), text)
	}
	dir, name := filepath.Split(text)
	return s.open(filepath.Clean(dir), name)
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

// decodeText reads UTF-16 with a mark, or bytes.
func decodeText(b []byte) string {
	if len(b) < 2 || b[0] != 0xff || b[1] != 0xfe {
		return string(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")))
	}
	var u []uint16
	for b = b[2:]; len(b) >= 2; b = b[2:] {
		u = append(u, uint16(b[0])|uint16(b[1])<<8)
	}
	return string(utf16.Decode(u))
}

func readHead(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, n))
}

// unpack expands a compressed file into the first of the stores that takes it.
func (s *search) unpack(path string, stores []string) (Found, bool) {
	if len(stores) == 0 {
		s.r.add(path, Refused, "it is compressed, and there is no cache folder to unpack it to")
		return Found{}, false
	}
	if found, ok := s.cached(stores); ok {
		return found, true
	}
	in, err := os.Open(path)
	if err != nil {
		s.r.add(path, Damaged, err.Error())
		return Found{}, false
	}
	defer in.Close()
	return s.put(path, stores, func(w io.Writer) error {
		return unpackTo(in, w)
	})
}

// unpackTo writes the only file of a cabinet.
func unpackTo(in io.ReaderAt, w io.Writer) error {
	c, err := cab.Open(in)
	if err != nil {
		return err
	}
	if len(c.Files) != 1 {
		return fmt.Errorf("cabinet holds %d files, a compressed symbol file is one", len(c.Files))
	}
	if c.Files[0].Size > maxUnpacked {
		return fmt.Errorf("cabinet holds a file of %d bytes", c.Files[0].Size)
	}
	return c.Extract(c.Files[0], w)
}

// cached looks whether one of the stores has the file already.
func (s *search) cached(stores []string) (Found, bool) {
	for _, store := range stores {
		if path, ok := s.folders.file(store, s.name, s.storeKey(), s.name); ok {
			if found, outcome, _ := s.accept(path); outcome == Matched {
				s.r.add(path, Matched, "")
				return found, true
			} else if found.PDB != nil {
				_ = found.PDB.Close()
			}
		}
	}
	return Found{}, false
}

// errUnverified tells put's caller that the content was the reason.
var errUnverified = errors.New("it is not what was asked for")

// put writes a file into the first store that takes it: to a temporary name,
// verified there, then renamed. from is for the report.
func (s *search) put(from string, stores []string, write func(io.Writer) error) (Found, bool) {
	var failure error
	for _, store := range stores {
		dst := filepath.Join(store, s.name, s.storeKey(), s.name)
		err := s.putAt(dst, write)
		if err == nil {
			found, outcome, detail := s.accept(dst)
			s.r.add(dst, outcome, detail)
			return found, outcome == Matched
		}
		failure = err
		if !errors.Is(err, os.ErrPermission) {
			break
		}
	}
	outcome := Damaged
	switch {
	case errors.Is(failure, errUnverified):
		outcome = Mismatched
	case errors.As(failure, new(*os.PathError)), errors.As(failure, new(*os.LinkError)):
		outcome = Failed
	}
	s.r.add(from, outcome, failure.Error())
	return Found{}, false
}

func (s *search) putAt(dst string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(dst), ".part-*")
	if err != nil {
		return err
	}
	defer remove(tmp.Name())
	err = write(tmp)
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	found, outcome, detail := s.accept(tmp.Name())
	if found.PDB != nil {
		_ = found.PDB.Close()
	}
	if outcome != Matched {
		return fmt.Errorf("%w: %s %s", errUnverified, outcome, detail)
	}
	return os.Rename(tmp.Name(), dst)
}

// keep copies a file found in a later store of a chain into the nearest one, as
// symbol servers do. When that fails the file is used where it is.
func (s *search) keep(found Found, nearer []string) Found {
	for _, store := range nearer {
		dst := filepath.Join(store, s.name, s.storeKey(), s.name)
		if strings.HasPrefix(found.File, store+string(filepath.Separator)) {
			return found
		}
		err := s.putAt(dst, func(w io.Writer) error {
			in, err := os.Open(found.File)
			if err != nil {
				return err
			}
			defer in.Close()
			_, err = io.Copy(w, in)
			return err
		})
		if err == nil {
			return found
		}
	}
	return found
}
