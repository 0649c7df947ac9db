// Package source finds the source files that symbol files name, and reads what
// a symbol file says of where they can be had.
//
// A file is looked for as WinDbg does: under every folder of the source path,
// with the leading parts of its name dropped one by one. Source Link (the
// JSON of the "sourcelink" stream) and Source Server data (the "srcsrv"
// stream) give addresses, from which a Remote fetches files into a cache where
// the user allowed it.
//
// Names come from symbol files, which may be hostile: they never lead out of
// the folders that the user named, or out of the cache; nothing that they want
// run is run. Everything is safe for concurrent use.
package source

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Mapping replaces the beginning of a name: "C:\src" by a local folder.
type Mapping struct{ From, To string }

// A Folder is a place where source files may lie.
type Folder struct {
	Path  string // on this computer
	Shown string // as the user wrote it
}

// A Finder looks for source files. Its fields must not change once it is used.
type Finder struct {
	Folders []Folder
	Map     []Mapping

	// Trace, when set, is told what is looked for and where.
	Trace func(Step)
}

// A Step is one part of a search: a name that is looked for in all folders,
// or one place that is looked at.
type Step struct {
	Name  string // what is looked for
	Path  string // where; "" when a new name begins
	Found bool
}

// A File is a source file that was found.
type File struct {
	Name string // what of the searched name was found
	Path string // its path as the user wrote the folder
	From string // the address it was fetched from, now or earlier; "" for a file in a folder
	disk string
}

// ErrNotFound says that a source file is in no folder.
var ErrNotFound = errors.New("source file not found")

// Find looks for the file of a name.
func (f *Finder) Find(name string) (File, error) {
	for _, m := range f.Map {
		rest, ok := cutFolder(name, m.From)
		if !ok {
			continue
		}
		if file, ok := f.under(Folder{m.To, m.To}, rest); ok {
			return file, nil
		}
	}
	for _, dir := range f.Folders {
		if rest, ok := cutFolder(name, dir.Shown); ok {
			if file, ok := f.under(dir, rest); ok {
				file.Name = name
				return file, nil
			}
		}
	}
	parts := split(name)
	for first := range parts {
		rest := strings.Join(parts[first:], `\`)
		f.trace(Step{Name: rest})
		if isDrive(parts[first]) {
			continue
		}
		for _, dir := range f.Folders {
			if file, ok := f.under(dir, rest); ok {
				return file, nil
			}
		}
	}
	return File{}, fmt.Errorf("%s: %w", name, ErrNotFound)
}

// Open finds a file that the user named: also by a path of its own.
func (f *Finder) Open(name string) (File, error) {
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		return File{Name: name, Path: name, disk: name}, nil
	}
	return f.Find(name)
}

func (f *Finder) trace(s Step) {
	if f.Trace != nil {
		f.Trace(s)
	}
}

// under looks for a name below a folder.
func (f *Finder) under(dir Folder, name string) (File, bool) {
	parts := split(name)
	if len(parts) == 0 {
		return File{}, false
	}
	shown := join(dir.Shown, parts)
	disk := dir.Path
	for i, p := range parts {
		if !isPlain(p) {
			return File{}, false
		}
		next, ok := entry(disk, p)
		if !ok {
			f.trace(Step{Name: name, Path: shown})
			return File{}, false
		}
		disk = filepath.Join(disk, next)
		if info, err := os.Stat(disk); err != nil || (i == len(parts)-1) != info.Mode().IsRegular() {
			f.trace(Step{Name: name, Path: shown})
			return File{}, false
		}
	}
	f.trace(Step{Name: name, Path: shown, Found: true})
	return File{Name: strings.Join(parts, `\`), Path: shown, disk: disk}, true
}

// entry finds a name in a folder, without regard to case where the name as it
// is does not exist: symbol files keep names as they were typed for a compiler
// that does not mind.
func entry(dir, name string) (string, bool) {
	if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
		return name, true
	}
	d, err := os.Open(dir)
	if err != nil {
		return "", false
	}
	defer d.Close()
	const batch = 1024
	for {
		names, err := d.Readdirnames(batch)
		for _, n := range names {
			if strings.EqualFold(n, name) {
				return n, true
			}
		}
		if err != nil || len(names) == 0 {
			return "", false
		}
	}
}

// split divides a path of Windows or another system.
func split(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return r == '\\' || r == '/' })
}

// join writes the path of a file as the folder is written.
func join(dir string, parts []string) string {
	sep := string(filepath.Separator)
	if strings.Contains(dir, `\`) {
		sep = `\`
	}
	return strings.TrimRight(dir, `\/`) + sep + strings.Join(parts, sep)
}

// isPlain reports a part of a path that leads nowhere else.
func isPlain(part string) bool {
	return part != "." && part != ".." && !strings.ContainsAny(part, ":\x00")
}

func isDrive(part string) bool { return len(part) == 2 && part[1] == ':' }

// cutFolder returns what of a name lies below a folder.
func cutFolder(name, dir string) (string, bool) {
	n, d := split(name), split(dir)
	if len(n) <= len(d) || len(d) == 0 {
		return "", false
	}
	for i := range d {
		if !strings.EqualFold(n[i], d[i]) {
			return "", false
		}
	}
	return strings.Join(n[len(d):], `\`), true
}

// maxFile bounds how much of a file is read.
const maxFile = 32 << 20

// Bytes reads a file, which must not be larger than source files are.
func (f File) Bytes() ([]byte, error) { return readFile(f.disk) }

// Lines reads the lines of a file.
func (f File) Lines() ([]string, error) {
	b, err := f.Bytes()
	if err != nil {
		return nil, err
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	lines := strings.Split(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n")
	if n := len(lines); lines[n-1] == "" {
		lines = lines[:n-1]
	}
	return lines, nil
}

// Disk is the file's path on this computer.
func (f File) Disk() string { return f.disk }
