// Package symbols finds the symbol files of modules and answers for one module
// which name an address has and which address a name, whatever the symbols come
// from: a PDB, an ISF table or the export table.
//
// Paths, store layouts and the order of the search follow the documentation of
// Microsoft's symbol server and what WinDbg's noisy mode shows; names of files
// that come from a dump never lead out of the folders searched, and a file
// enters the cache only after its identity was checked.
//
// Everything here is lazy and safe for concurrent use.
package symbols

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kdap/engine/isf"
	"kdap/engine/pdb"
	"kdap/engine/pe"
)

// A Finder looks for symbol files and images. Its fields must not change once
// it is used.
type Finder struct {
	Path   Path // of symbols
	Images Path // of images; the symbol path is searched after it

	// CacheDir holds what was downloaded, unpacked or indexed. Without it
	// compressed files and servers are of no use.
	CacheDir string

	// LoadAnything takes a PDB of another build when there is no better one.
	LoadAnything bool

	Offline  bool           // servers are not asked
	Fresh    bool           // ask servers again for what they did not have lately
	Timeouts Timeouts       // of servers
	Progress func(Progress) // of downloads; called often, from several goroutines

	folders folders
	http    servers
	tables  tableCache
}

// Want names the symbols of one module, as its image's debug directory does.
type Want struct {
	PDB  string   // file name of the PDB; a path of the build machine is cut off
	GUID [16]byte // as stored
	Age  uint32
	Ext  string // the image's extension as written, without dot: "exe", "DLL"
}

func (w Want) id() pdb.ID { return pdb.ID{GUID: w.GUID, Age: w.Age} }

func (w Want) String() string {
	return fmt.Sprintf("%s GUID %s age %d", clip(w.PDB), pdb.GUID(w.GUID), w.Age)
}

// Found is a symbol file: one of PDB and ISF is set.
type Found struct {
	File      string
	PDB       *pdb.File
	ISF       *isf.File
	Unmatched bool // of another build, taken because of LoadAnything
}

// ErrNotFound is returned when no place has the file; the report tells more.
var ErrNotFound = errors.New("not found")

// Find looks for a module's symbols: in each element for the PDB, then for an
// ISF table. The report is never nil.
func (f *Finder) Find(ctx context.Context, w Want) (Found, *Report, error) {
	r := &Report{Want: w.String(), Elements: len(f.Path)}
	name, err := FileName(w.PDB)
	if err != nil {
		r.add(clip(w.PDB), Refused, err.Error())
		// The name is no file's, but a table is named by GUID alone.
	}
	s := &search{Finder: f, ctx: ctx, r: r, w: w, name: name, accept: w.accept}
	for i, e := range f.Path {
		if err := ctx.Err(); err != nil {
			return Found{}, r, err
		}
		s.caches = f.cachesBefore(i)
		found, ok := s.element(e)
		if !ok {
			found, ok = s.isf(e)
		}
		if ok {
			return found, r, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return Found{}, r, err
	}
	if name != "" {
		if found, ok := s.open(name); ok { // in the current folder
			return found, r, nil
		}
	}
	if f.LoadAnything && s.other.PDB != nil {
		s.other.Unmatched = true
		return s.other, r, nil
	}
	return Found{}, r, fmt.Errorf("%s: %w", r.Want, ErrNotFound)
}

// accept opens a candidate and compares its identity.
func (w Want) accept(path string) (Found, Outcome, string) {
	p, err := pdb.Open(path)
	if err != nil {
		return Found{}, Damaged, strings.TrimPrefix(err.Error(), path+": ")
	}
	id := p.ID()
	if id.GUID != pdb.GUID(w.GUID) || id.Age != w.Age {
		return Found{File: path, PDB: p}, Mismatched, fmt.Sprintf("GUID %s age %d", id.GUID, id.Age)
	}
	return Found{File: path, PDB: p}, Matched, ""
}

// cachesBefore returns the stores of the cache* elements left of element i.
func (f *Finder) cachesBefore(i int) []string {
	var caches []string
	for _, e := range f.Path[:i] {
		if e.Kind == Cache {
			if dir := f.store(e.Stores[0]); dir != "" {
				caches = append(caches, dir)
			}
		}
	}
	return caches
}

// store gives the default cache its folder.
func (f *Finder) store(s string) string {
	if s == "" && f.CacheDir != "" {
		return filepath.Join(f.CacheDir, "symbols")
	}
	return s
}

// A search is one Find: the state that its steps share.
type search struct {
	*Finder
	ctx    context.Context
	r      *Report
	w      Want
	name   string // safe file name, "" when the dump has none
	key    string // folder in a store; set by the caller for images
	caches []string
	accept func(path string) (Found, Outcome, string)
	other  Found // the first file of another build

	offline bool // servers are passed over without a word
}

func (s *search) storeKey() string {
	if s.key != "" {
		return s.key
	}
	return s.w.id().Key()
}

// element looks for the file by name and key in one element of the path.
func (s *search) element(e Element) (Found, bool) {
	if s.name == "" {
		return Found{}, false
	}
	if e.Kind == Folder {
		return s.folder(e.Stores[0])
	}
	nearer := append([]string(nil), s.caches...)
	for _, store := range e.Stores {
		store = s.store(store)
		if store == "" {
			continue // the default cache, and there is none
		}
		var found Found
		var ok bool
		if isURL(store) {
			if !s.offline {
				found, ok = s.download(store, nearer)
			}
		} else {
			if found, ok = s.local(store, nearer); ok && e.Kind == Server {
				found = s.keep(found, nearer)
			}
			nearer = append(nearer, store)
		}
		if ok {
			return found, true
		}
	}
	return Found{}, false
}

// folder looks in a plain folder: as a store when it has an entry of that
// name, then flat, then in the two places by extension.
func (s *search) folder(dir string) (Found, bool) {
	if s.isStore(dir) {
		if found, ok := s.local(dir, s.caches); ok {
			return found, true
		}
	}
	if found, ok := s.open(dir, s.name); ok {
		return found, true
	}
	if ext, err := FileName(s.w.Ext); err == nil && s.key == "" {
		if found, ok := s.open(dir, ext, s.name); ok {
			return found, true
		}
		return s.open(dir, "symbols", ext, s.name)
	}
	return Found{}, false
}

// open tries one file.
func (s *search) open(dir string, parts ...string) (Found, bool) {
	path, ok := s.folders.file(dir, parts...)
	if !ok {
		s.r.add(path, NotFound, "")
		return Found{}, false
	}
	return s.check(path)
}

// check verifies a file that exists.
func (s *search) check(path string) (Found, bool) {
	found, outcome, detail := s.accept(path)
	s.r.add(path, outcome, detail)
	if outcome == Matched {
		return found, true
	}
	if found.PDB != nil {
		if s.LoadAnything && s.other.PDB == nil {
			s.other = found
		} else {
			_ = found.PDB.Close()
		}
	}
	return Found{}, false
}

// isf looks for a table in the local places of an element.
func (s *search) isf(e Element) (Found, bool) {
	if s.key != "" {
		return Found{}, false // an image is wanted
	}
	base := fmt.Sprintf("%s-%d.json", pdb.GUID(s.w.GUID), s.w.Age)
	for _, store := range e.Stores {
		store = s.store(store)
		if store == "" || isURL(store) {
			continue
		}
		places := [][]string{{base + ".xz"}, {base}, {"isf", base + ".xz"}, {"isf", base}}
		if s.name != "" { // as Volatility keeps them
			places = append(places, []string{"windows", s.name, base + ".xz"}, []string{"windows", s.name, base})
		}
		for _, parts := range places {
			path, ok := s.folders.file(store, parts...)
			if !ok {
				continue
			}
			if found, ok := s.openISF(path); ok {
				return found, true
			}
		}
	}
	return Found{}, false
}

func (s *search) openISF(path string) (Found, bool) {
	t, err := isf.Open(path, s.CacheDir)
	if err != nil {
		s.r.add(path, Damaged, strings.TrimPrefix(err.Error(), path+": "))
		return Found{}, false
	}
	if id := t.ID(); id.GUID != pdb.GUID(s.w.GUID).String() || id.Age != s.w.Age {
		s.r.add(path, Mismatched, fmt.Sprintf("GUID %s age %d", id.GUID, id.Age))
		return Found{}, false
	}
	s.r.add(path, Matched, "")
	return Found{File: path, ISF: t}, true
}

// WantImage names an image file.
type WantImage struct {
	Name  string // file name; a path of the dumped machine is cut off
	Stamp uint32 // TimeDateStamp
	Size  uint32 // SizeOfImage
	Local bool   // do not ask servers
}

func (w WantImage) String() string {
	return fmt.Sprintf("%s time stamp %08X size %x", clip(w.Name), w.Stamp, w.Size)
}

// kernelNames are the files a kernel may be: the one that runs is chosen when
// Windows starts, and its memory does not always tell. ntkrla57.exe is the one
// for five levels of page tables.
var kernelNames = []string{"ntkrnlmp.exe", "ntkrla57.exe", "ntoskrnl.exe", "ntkrnlup.exe", "ntkrnlpa.exe", "ntkrpamp.exe", "xboxkrnlc.exe"}

// KernelNames returns the names that a kernel's image is looked for under.
func KernelNames() []string { return slices.Clone(kernelNames) }

// FindImage looks for an image file, in the image path and then in the symbol
// path, and opens it. A kernel is looked for under all its names.
func (f *Finder) FindImage(ctx context.Context, w WantImage) (*pe.Image, string, *Report, error) {
	path := append(append(Path(nil), f.Images...), f.Path...)
	r := &Report{Want: w.String(), Elements: len(path)}
	name, err := FileName(w.Name)
	if err != nil {
		r.add(clip(w.Name), Refused, err.Error())
		return nil, "", r, fmt.Errorf("image %q: %w", clip(w.Name), err)
	}
	names := []string{name}
	for _, k := range kernelNames {
		if strings.EqualFold(name, k) {
			names = append(names, kernelNames...)
			break
		}
	}
	var im *pe.Image
	s := &search{
		Finder: f, ctx: ctx, r: r, offline: w.Local,
		key: fmt.Sprintf("%08X%x", w.Stamp, w.Size),
		accept: func(path string) (Found, Outcome, string) {
			file, err := pe.Open(path)
			if err != nil {
				return Found{}, Damaged, err.Error()
			}
			if file.TimeDateStamp != w.Stamp || file.SizeOfImage != w.Size {
				detail := fmt.Sprintf("time stamp %08X size %x", file.TimeDateStamp, file.SizeOfImage)
				_ = file.Close()
				return Found{}, Mismatched, detail
			}
			if im != nil {
				_ = im.Close()
			}
			im = file
			return Found{File: path}, Matched, ""
		},
	}
	for i, e := range path {
		s.caches = nil
		if i >= len(f.Images) {
			s.caches = f.cachesBefore(i - len(f.Images))
		}
		for _, n := range names {
			if err := ctx.Err(); err != nil {
				return nil, "", r, err
			}
			s.name = n
			if found, ok := s.element(e); ok {
				return im, found.File, r, nil
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, "", r, err
	}
	return nil, "", r, fmt.Errorf("%s: %w", r.Want, ErrNotFound)
}

// remove is for temporary files: that one is gone already is as good.
func remove(path string) { _ = os.Remove(path) }
