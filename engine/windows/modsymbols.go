package windows

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"kdap/engine/arch/amd64"
	"kdap/engine/arch/arm64"
	"kdap/engine/pe"
	"kdap/engine/symbols"
	"kdap/engine/types"
)

// imageData is what the mappings of one image at one base share: its symbols
// and its unwind data.
type imageData struct {
	mu     sync.Mutex
	table  *symbols.Table // nil until asked for
	report *symbols.Report
	why    error // why there is no symbol file

	functionsOnce sync.Once
	functions     *amd64.FunctionTable

	armOnce sync.Once
	arm     *arm64.Functions

	fileOnce sync.Once
	file     *pe.Image // the image file, nil when none was found
	filePath string
	fileErr  error
}

// data returns the shared part of the module's image.
func (m *Module) data() *imageData {
	m.sharedOnce.Do(func() {
		// Name, time stamp and size tell images apart; the base is in the key
		// because unwind data is read there. System DLLs have one base in all
		// processes, so those are shared.
		key := fmt.Sprintf("%s|%x|%x|%x", strings.ToLower(m.ImageName), m.Base, m.Size, m.TimeDateStamp)
		d, _ := m.sys.tables.LoadOrStore(key, &imageData{})
		m.shared = d.(*imageData)
	})
	return m.shared
}

// Symbols returns the module's symbols, which are searched for on first use:
// a symbol file, else the export table. It is never nil; a table without
// symbols answers nothing, and SymbolsErr says why.
func (m *Module) Symbols(ctx context.Context) *symbols.Table {
	d := m.data()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.table == nil {
		table, report, err := m.LoadSymbols(ctx, m.sys.finder, symbols.DefaultOptions)
		if ctx.Err() != nil {
			return &symbols.Table{} // not kept: the search was given up, it did not fail
		}
		d.table, d.report, d.why = table, report, err
	}
	return d.table
}

// LoadSymbols searches for the module's symbols with a finder of the caller's,
// and answers as the options say. The table is not kept. It is never nil; the
// error says why there is no symbol file.
func (m *Module) LoadSymbols(ctx context.Context, f *symbols.Finder, opts symbols.Options) (*symbols.Table, *symbols.Report, error) {
	cv, err := m.CodeView()
	if err != nil {
		// Without the header's page the image file tells what to look for.
		file, _, ferr := m.FileFrom(ctx, f)
		if ferr != nil {
			return m.exports(ctx, f, opts), nil, err
		}
		if cv, ferr = file.CodeView(); ferr != nil {
			return m.exports(ctx, f, opts), nil, err
		}
	}
	want := symbols.Want{PDB: cv.Name, GUID: cv.GUID, Age: cv.Age, Ext: extension(m.ImageName)}
	found, report, err := f.Find(ctx, want)
	if err != nil && opts&symbols.ExactSymbols != 0 && report.Mismatched() {
		return symbols.NewExportTable(nil, opts), report, fmt.Errorf("%v", report)
	}
	if err != nil {
		return m.exports(ctx, f, opts), report, fmt.Errorf("%v", report)
	}
	sections := func() []symbols.Section {
		img, err := m.Image()
		if err != nil {
			return nil
		}
		return symbols.SectionsOf(img)
	}
	return symbols.NewTable(found, sections, opts), report, nil
}

// exports makes a table of the export directory: of the image in memory or, if
// that cannot be read, of the image file.
func (m *Module) exports(ctx context.Context, f *symbols.Finder, opts symbols.Options) *symbols.Table {
	if img, err := m.Image(); err == nil {
		if t := symbols.NewExportTable(img, opts); t.Rank != symbols.NoSymbols {
			return t
		}
	}
	if file, _, err := m.FileFrom(ctx, f); err == nil {
		return symbols.NewExportTable(file, opts)
	}
	return symbols.NewExportTable(nil, opts)
}

func extension(file string) string {
	if i := strings.LastIndexByte(file, '.'); i >= 0 {
		return file[i+1:]
	}
	return ""
}

// File returns the image file of the module from the image path. It is looked
// for once.
func (m *Module) File(ctx context.Context) (*pe.Image, error) {
	im, _, err := m.FileFrom(ctx, m.sys.finder)
	return im, err
}

// FileFrom looks for the module's image file with a finder and returns it with
// its path. What the target's own finder found is kept.
func (m *Module) FileFrom(ctx context.Context, f *symbols.Finder) (*pe.Image, string, error) {
	if f != m.sys.finder {
		return m.findFile(ctx, f)
	}
	d := m.data()
	d.fileOnce.Do(func() { d.file, d.filePath, d.fileErr = m.findFile(ctx, f) })
	return d.file, d.filePath, d.fileErr
}

func (m *Module) findFile(ctx context.Context, f *symbols.Finder) (*pe.Image, string, error) {
	if !m.HasTimeDateStamp {
		return nil, "", fmt.Errorf("%s: its time stamp is not known, so no image file can be looked for", m.ImageName)
	}
	im, path, report, err := f.FindImage(ctx, symbols.WantImage{Name: m.ImageName, Stamp: m.TimeDateStamp, Size: uint32(m.Size)})
	if err != nil {
		return nil, "", fmt.Errorf("%v", report)
	}
	return im, path, nil
}

// SymbolsErr says why the module has no symbol file, nil when it has one or
// was not asked yet.
func (m *Module) SymbolsErr() error {
	d := m.data()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.why
}

// SymbolReport tells where the symbols were looked for, nil before that.
func (m *Module) SymbolReport() *symbols.Report {
	d := m.data()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.report
}

// SymbolState is "deferred" until the symbols were asked for, then "pdb",
// "isf", "export" or "none".
func (m *Module) SymbolState() string {
	d := m.data()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.table == nil {
		return "deferred"
	}
	switch d.table.Rank {
	case symbols.PrivatePDB, symbols.PublicPDB:
		return "pdb"
	case symbols.ISFSymbols:
		return "isf"
	case symbols.ExportSymbols:
		return "export"
	}
	return "none"
}

// Types returns the types of the module's symbols, nil when there are none.
func (m *Module) Types() types.Source { return m.Symbols(context.Background()).Types() }

// FunctionTable returns the module's unwind data: from memory and, where that
// is out, from the image file. A nil module has none.
func (m *Module) FunctionTable(ctx context.Context) *amd64.FunctionTable {
	if m == nil {
		return nil
	}
	d := m.data()
	d.functionsOnce.Do(func() {
		img, err := m.Image()
		if err != nil {
			img = nil
		}
		d.functions = amd64.NewFunctionTable(m.Base, img, func() *pe.Image {
			file, err := m.File(ctx)
			if err != nil {
				return nil
			}
			return file
		})
	})
	return d.functions
}

// A Place names an address: a symbol of a module and the distance from it, and
// the source line where it is known.
type Place struct {
	Module  *Module
	Name    string // of the symbol, "" without one: the offset is then from the module
	Offset  uint64
	Outside bool // in no part of the image that has symbols
	File    string
	Line    uint32
}

// SymbolAt names an address of the module.
func (m *Module) SymbolAt(ctx context.Context, va uint64) Place {
	return m.PlaceIn(m.Symbols(ctx), va)
}

// PlaceIn names an address of the module by the symbols of a table.
func (m *Module) PlaceIn(t *symbols.Table, va uint64) Place {
	p := Place{Module: m, Offset: va - m.Base}
	sym, off, ok := t.Nearest(uint32(va - m.Base))
	if !ok {
		return p
	}
	p.Name, p.Offset = sym.Name, off
	if off == symbols.Outside {
		p.Outside = true
	}
	if line, ok := t.Line(uint32(va - m.Base)); ok {
		p.File, p.Line = line.File.Name, line.Number
	}
	return p
}

// DescribesSystem reports that the types of the system's structures are looked
// up in the module's symbols.
func (m *Module) DescribesSystem() bool { return m == m.sys.typeModule() }

// ForgetFailure lets the symbols be searched for again when they were not
// found: the folders may hold them by now. Those that the system is read with
// stay what they are.
func (m *Module) ForgetFailure() {
	d := m.data()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.why != nil && !m.DescribesSystem() {
		d.table, d.report, d.why = nil, nil, nil
	}
}

// Adopt looks with a finder for symbols of the module that the target has not
// found, and keeps them for all who share it. It reports whether it did.
func (m *Module) Adopt(ctx context.Context, f *symbols.Finder) bool {
	if m.DescribesSystem() {
		return false
	}
	d := m.data()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.table != nil && d.why == nil {
		return false
	}
	table, report, err := m.LoadSymbols(ctx, f, symbols.DefaultOptions)
	if err != nil || ctx.Err() != nil {
		return false
	}
	d.table, d.report, d.why = table, report, nil
	return true
}

// String spells the place as debuggers do: "nt!KeBugCheckEx+0x5".
func (p Place) String() string {
	s := p.Module.Name
	if p.Name != "" {
		s += "!" + p.Name
	}
	if p.Offset != 0 {
		s += fmt.Sprintf("+%#x", p.Offset)
	}
	return s
}

// Name spells an address by its symbol, "" when it is in no module.
func (s *ModuleSet) Name(ctx context.Context, va uint64) string {
	m := s.Find(va)
	if m == nil {
		return ""
	}
	return m.SymbolAt(ctx, va).String()
}
