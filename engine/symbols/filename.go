package symbols

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// maxFileName is what file systems take.
const maxFileName = 255

// FileName returns the last part of a path that was read from a dump, as a name
// that is safe to look for and to create: no folder, drive, stream, device or
// control character is left in it.
func FileName(path string) (string, error) {
	name := path[strings.LastIndexAny(path, `/\`)+1:]
	switch {
	case name == "":
		return "", fmt.Errorf("%q does not end in a file name", clip(path))
	case len(name) > maxFileName:
		return "", fmt.Errorf("file name of %d bytes is too long", len(name))
	case strings.Trim(name, ". ") == "", strings.HasSuffix(name, "."), strings.HasSuffix(name, " "):
		return "", fmt.Errorf("%q is not a file name", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`:*?"<>|`, r) }):
		return "", fmt.Errorf("%q holds characters that no file name has", name)
	case isDevice(name):
		return "", fmt.Errorf("%q is the name of a device", name)
	}
	return name, nil
}

func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

// isDevice reports the names that Windows takes for devices in every folder.
func isDevice(name string) bool {
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	stem = strings.TrimRight(stem, " ")
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	return len(stem) == 4 && (strings.HasPrefix(stem, "COM") || strings.HasPrefix(stem, "LPT")) && stem[3] >= '0' && stem[3] <= '9'
}

// A folders finds files without regard to case, as the systems do that symbol
// paths come from. It remembers the lists of folders it had to read, until the
// folder changes. Names are given and found as single path elements.
type folders struct {
	mu    sync.Mutex
	lists map[string]folderList
}

type folderList struct {
	changed time.Time
	names   map[string]string // lower case → as it is
}

// join returns the path of parts below root; every part is looked for as it
// is, then in another case. What is not found is joined as given, and exists
// is false.
func (f *folders) join(root string, parts ...string) (path string, exists bool) {
	path = root
	for i, part := range parts {
		next := filepath.Join(path, part)
		if _, err := os.Stat(next); err != nil {
			other, ok := f.other(path, part)
			if !ok {
				return filepath.Join(append([]string{path}, parts[i:]...)...), false
			}
			next = filepath.Join(path, other)
		}
		path = next
	}
	return path, true
}

// file is join for something that must be a plain file.
func (f *folders) file(root string, parts ...string) (path string, exists bool) {
	path, ok := f.join(root, parts...)
	if !ok {
		return path, false
	}
	st, err := os.Stat(path)
	return path, err == nil && st.Mode().IsRegular()
}

// folder is join for something that must be a folder.
func (f *folders) folder(root string, parts ...string) (path string, exists bool) {
	path, ok := f.join(root, parts...)
	return path, ok && isDir(path)
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// other returns how a name is spelled in a folder.
func (f *folders) other(dir, name string) (string, bool) {
	st, err := os.Stat(dir)
	if err != nil || !st.IsDir() {
		return "", false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	list, ok := f.lists[dir]
	if !ok || !list.changed.Equal(st.ModTime()) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return "", false
		}
		list = folderList{st.ModTime(), make(map[string]string, len(entries))}
		for _, e := range entries {
			list.names[strings.ToLower(e.Name())] = e.Name()
		}
		if f.lists == nil {
			f.lists = map[string]folderList{}
		}
		f.lists[dir] = list
	}
	found, ok := list.names[strings.ToLower(name)]
	return found, ok
}
