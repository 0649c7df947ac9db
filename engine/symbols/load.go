package symbols

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"

	"kdap/engine/pdb"
	"kdap/engine/pe"
)

// A Module is what a dump knows of an image that was loaded.
type Module struct {
	Name  string // image file, with or without path
	Stamp uint32 // TimeDateStamp
	Size  uint32 // SizeOfImage

	// Image returns the image as it lies in memory. It is asked once a load.
	Image func() (*pe.Image, error)

	// CodeView is the record when it is known without the image; its Name is
	// empty otherwise. Minidumps carry it.
	CodeView pe.CodeView
}

// Loaded is a module's symbols and how they were come by.
type Loaded struct {
	Table *Table // never nil

	CodeView    pe.CodeView
	CodeViewErr error   // why there is none
	Report      *Report // of the search for symbols; nil when there was nothing to look for

	// Image is the image file when it had to be used, because the dump lacks
	// the pages that tell which symbols belong to it, or what it exports.
	Image     *pe.Image
	ImageFile string

	// Notes say what a user should know: why there are no better symbols.
	Notes []string
}

// Load finds the symbols of a module: by the CodeView record of its image in
// the dump, or of the image file when that page is not in the dump; the export
// table when there is no symbol file. Modules that share an image share a table.
func (f *Finder) Load(ctx context.Context, m Module, opts Options) (*Loaded, error) {
	l := &Loaded{CodeView: m.CodeView}
	memory, err := (*pe.Image)(nil), error(nil)
	if m.Image != nil {
		memory, err = m.Image()
	} else {
		err = errors.New("the image is not in the dump")
	}
	if l.CodeView.Name == "" {
		if err == nil {
			l.CodeView, err = memory.CodeView()
		}
		if err != nil {
			l.CodeViewErr = err
			f.codeViewFromFile(ctx, m, l)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if l.CodeView.Format == "RSDS" || l.CodeView.Format == "" && l.CodeView.Name != "" {
		w := Want{PDB: l.CodeView.Name, GUID: l.CodeView.GUID, Age: l.CodeView.Age, Ext: extension(m.Name)}
		l.Table, l.Report, err = f.table(ctx, w, func() []Section { return SectionsOf(firstImage(memory, l.Image)) }, opts)
		switch {
		case err == nil:
			return l, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		l.Notes = append(l.Notes, l.Report.String())
	} else if l.CodeView.Format != "" {
		l.Notes = append(l.Notes, fmt.Sprintf("the image names its symbols by an old record (%s), which is not supported", l.CodeView.Format))
	} else {
		l.Notes = append(l.Notes, fmt.Sprintf("no RSDS record: %v", l.CodeViewErr))
	}
	if l.Table = NewExportTable(memory, opts); l.Table.Rank != NoSymbols {
		return l, nil
	}
	if l.Image == nil && m.Stamp != 0 && m.Size != 0 {
		l.Image, l.ImageFile, _, _ = f.FindImage(ctx, WantImage{Name: m.Name, Stamp: m.Stamp, Size: m.Size})
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	l.Table = NewExportTable(l.Image, opts)
	return l, nil
}

func firstImage(list ...*pe.Image) *pe.Image {
	for _, im := range list {
		if im != nil {
			return im
		}
	}
	return nil
}

// codeViewFromFile looks the image file up by time stamp and size.
func (f *Finder) codeViewFromFile(ctx context.Context, m Module, l *Loaded) {
	if m.Stamp == 0 || m.Size == 0 {
		return
	}
	im, file, _, err := f.FindImage(ctx, WantImage{Name: m.Name, Stamp: m.Stamp, Size: m.Size})
	if err != nil {
		return
	}
	l.Image, l.ImageFile = im, file
	if cv, err := im.CodeView(); err == nil {
		l.CodeView = cv
		l.Notes = append(l.Notes, fmt.Sprintf("the debug directory is not in the dump (%v); it was read from %s", l.CodeViewErr, file))
	}
}

func extension(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	return strings.TrimPrefix(path.Ext(name), ".")
}

// tableCache shares tables between the processes that map one image.
type tableCache struct {
	mu      sync.Mutex
	entries map[tableKey]*tableEntry
}

type tableKey struct {
	guid pdb.GUID
	age  uint32
	name string
	opts Options
}

type tableEntry struct {
	mu     sync.Mutex
	done   bool
	table  *Table
	report *Report
	err    error
}

// table is Find and NewTable, once for each identity.
func (f *Finder) table(ctx context.Context, w Want, sections func() []Section, opts Options) (*Table, *Report, error) {
	key := tableKey{w.GUID, w.Age, strings.ToLower(w.PDB), opts}
	f.tables.mu.Lock()
	e, ok := f.tables.entries[key]
	if !ok {
		if f.tables.entries == nil {
			f.tables.entries = map[tableKey]*tableEntry{}
		}
		e = &tableEntry{}
		f.tables.entries[key] = e
	}
	f.tables.mu.Unlock()

	e.mu.Lock()
	defer e.mu.Unlock()
	if e.done {
		return e.table, e.report, e.err
	}
	found, report, err := f.Find(ctx, w)
	if ctx.Err() != nil {
		return nil, report, ctx.Err() // not remembered
	}
	if err == nil {
		e.table = NewTable(found, sections, opts)
	}
	e.done, e.report, e.err = true, report, err
	return e.table, report, err
}
