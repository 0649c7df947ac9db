package windows

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// A DirectoryEntry is one name in a directory of the object manager.
type DirectoryEntry struct {
	Object KernelObject
	Bucket int // of the directory's hash table
	Name   string
	Path   string // from the root, where the walk knows it
	Err    error  // why Name could not be read
}

// Bounds of walks through the namespace. Chains of a bucket are short; a
// directory as deep as this is no real one.
const (
	maxBucketChain    = 1 << 16
	maxDirectoryDepth = 32
)

// RootDirectory returns the object manager's root directory, "\".
func (s *System) RootDirectory() (KernelObject, error) {
	addr, err := s.GlobalUint("ObpRootDirectoryObject", 8)
	if err == nil && addr == 0 {
		err = errors.New("ObpRootDirectoryObject is null")
	}
	return s.ObjectAt(addr), err
}

// DirectoryEntries yields what the _OBJECT_DIRECTORY at addr holds, bucket by
// bucket. A chain that cannot be followed yields an error, and the walk goes on
// with the next bucket.
func (s *System) DirectoryEntries(ctx context.Context, addr uint64) iter.Seq2[DirectoryEntry, error] {
	return func(yield func(DirectoryEntry, error) bool) {
		buckets := s.Struct("_OBJECT_DIRECTORY", addr).Field("HashBuckets")
		if err := buckets.Err(); err != nil {
			yield(DirectoryEntry{}, fmt.Errorf("object directory %#x: %w", addr, err))
			return
		}
		seen := map[uint64]bool{}
		for i := range int(buckets.Type().Size / 8) {
			if err := ctx.Err(); err != nil {
				yield(DirectoryEntry{}, err)
				return
			}
			next, err := memory.ReadUint(s.Kernel(), buckets.Addr()+8*uint64(i), 8)
			for n := 0; err == nil && next != 0; n++ {
				if seen[next] || n == maxBucketChain {
					err = fmt.Errorf("cycle at %#x", next)
					break
				}
				seen[next] = true
				node := s.Struct("_OBJECT_DIRECTORY_ENTRY", next)
				var object uint64
				if object, err = node.Field("Object").Uint(); err != nil {
					break
				}
				e := DirectoryEntry{Object: s.ObjectAt(object), Bucket: i}
				e.Name, e.Err = e.Object.Name()
				if !yield(e, nil) {
					return
				}
				next, err = node.Field("ChainLink").Uint()
			}
			if err != nil && !yield(DirectoryEntry{}, fmt.Errorf("object directory %#x, bucket %d: %w", addr, i, err)) {
				return
			}
		}
	}
}

// Namespace yields every named object: the root, and what the directories
// below it hold, each directory's entries before those of its subdirectories.
func (s *System) Namespace(ctx context.Context) iter.Seq2[DirectoryEntry, error] {
	return func(yield func(DirectoryEntry, error) bool) {
		root, err := s.RootDirectory()
		if err != nil {
			yield(DirectoryEntry{}, fmt.Errorf("object namespace: %w", err))
			return
		}
		e := DirectoryEntry{Object: root, Name: `\`, Path: `\`}
		if !yield(e, nil) {
			return
		}
		w := namespaceWalk{sys: s, ctx: ctx, yield: yield, seen: map[uint64]bool{root.Addr(): true}}
		w.directory(e, 0)
	}
}

type namespaceWalk struct {
	sys   *System
	ctx   context.Context
	yield func(DirectoryEntry, error) bool
	seen  map[uint64]bool // directories
}

func (w *namespaceWalk) directory(dir DirectoryEntry, depth int) bool {
	if depth == maxDirectoryDepth {
		return w.yield(DirectoryEntry{}, fmt.Errorf("directory %s: more than %d levels", dir.Path, depth))
	}
	var below []DirectoryEntry
	for e, err := range w.sys.DirectoryEntries(w.ctx, dir.Object.Addr()) {
		if err != nil {
			if !w.yield(DirectoryEntry{}, fmt.Errorf("%s: %w", dir.Path, err)) || w.ctx.Err() != nil {
				return false
			}
			continue
		}
		e.Path = joinObjectPath(dir.Path, e.Name)
		if !w.yield(e, nil) {
			return false
		}
		if name, err := e.Object.TypeName(); err == nil && name == "Directory" && !w.seen[e.Object.Addr()] {
			w.seen[e.Object.Addr()] = true
			below = append(below, e)
		}
	}
	for _, e := range below {
		if !w.directory(e, depth+1) {
			return false
		}
	}
	return true
}

func joinObjectPath(dir, name string) string {
	if dir == `\` {
		return dir + name
	}
	return dir + `\` + name
}

// ErrNoObject says that the namespace has no object of a path.
var ErrNoObject = errors.New("no object of this name")

// LookupObject finds the object at a path like "\Driver\disk". Names are
// compared without regard to letter case. Symbolic links on the way are not followed.
func (s *System) LookupObject(ctx context.Context, path string) (DirectoryEntry, error) {
	root, err := s.RootDirectory()
	if err != nil {
		return DirectoryEntry{}, err
	}
	at := DirectoryEntry{Object: root, Name: `\`, Path: `\`}
	for name := range strings.SplitSeq(path, `\`) {
		if name == "" {
			continue
		}
		found, err := s.entryNamed(ctx, at, name)
		if err != nil {
			return DirectoryEntry{}, err
		}
		at = found
	}
	return at, nil
}

func (s *System) entryNamed(ctx context.Context, dir DirectoryEntry, name string) (DirectoryEntry, error) {
	if t, err := dir.Object.TypeName(); err != nil || t != "Directory" {
		return DirectoryEntry{}, errors.Join(ErrNoObject, err)
	}
	var broken error
	for e, err := range s.DirectoryEntries(ctx, dir.Object.Addr()) {
		switch {
		case err != nil:
			broken = err
		case strings.EqualFold(e.Name, name):
			e.Path = joinObjectPath(dir.Path, e.Name)
			return e, nil
		}
	}
	return DirectoryEntry{}, errors.Join(ErrNoObject, broken)
}

// Path returns the object's full name, by the directories it is in; "" for an
// object without a name. An object outside the root's tree has a path too: what
// of it is known.
func (o KernelObject) Path() (string, error) {
	root, rootErr := o.sys.RootDirectory()
	if rootErr == nil && o.body == root.body {
		return `\`, nil
	}
	var path string
	seen := map[uint64]bool{}
	for at := o; len(seen) < maxDirectoryDepth && !seen[at.body]; {
		seen[at.body] = true
		name, err := at.Name()
		if err != nil || name == "" && path == "" {
			return path, err
		}
		if name != "" {
			path = `\` + name + path
		}
		dir, err := at.Directory()
		if err != nil || dir == 0 || rootErr == nil && dir == root.body {
			return path, err
		}
		at = o.sys.ObjectAt(dir)
	}
	return path, nil
}

// A SymbolicLink is what a link of the namespace holds.
type SymbolicLink struct {
	Target string // "" for a link that the kernel resolves by calling a function
	Drive  uint64 // 1 for A:, 0 for a link that is no drive
}

// linkCallback is the bit of _OBJECT_SYMBOLIC_LINK.Flags that says that the
// link is a function, not a text.
const linkCallback = 0x10

// SymbolicLink reads the _OBJECT_SYMBOLIC_LINK at addr.
func (s *System) SymbolicLink(addr uint64) (SymbolicLink, error) {
	o := s.Struct("_OBJECT_SYMBOLIC_LINK", addr)
	var l SymbolicLink
	drive, err := o.Field("DosDeviceDriveIndex").Uint()
	if err != nil {
		return l, err
	}
	l.Drive = drive
	flags, err := o.Field("Flags").Uint()
	var missing *types.NoFieldError
	if err != nil && !errors.As(err, &missing) {
		return l, err
	}
	if flags&linkCallback != 0 {
		return l, nil
	}
	l.Target, err = o.Field("LinkTarget").UnicodeString()
	return l, err
}
