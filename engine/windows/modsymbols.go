package windows

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"kdap/engine/arch/amd64"
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

	fileOnce sync.Once
	file     *pe.Image // the image file, nil when none was found
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
		table, report, err := m.loadSymbols(ctx)
		if ctx.Err() != nil {
			return &symbols.Table{} // not kept: the search was given up, it did not fail
		}
		d.table, d.report, d.why = table, report, err
	}
	return d.table
}

func (m *Module) loadSymbols(ctx context.Context) (*symbols.Table, *symbols.Report, error) {
	cv, err := m.CodeView()
	if err != nil {
		// Without the header's page the image file tells what to look for.
		file, ferr := m.File(ctx)
		if ferr != nil {
			return m.exports(ctx), nil, err
		}
		if cv, ferr = file.CodeView(); ferr != nil {
			return m.exports(ctx), nil, err
		}
	}
	want := symbols.Want{PDB: cv.Name, GUID: cv.GUID, Age: cv.Age, Ext: extension(m.ImageName)}
	found, report, err := m.sys.finder.Find(ctx, want)
	if err != nil {
		return m.exports(ctx), report, fmt.Errorf("%v", report)
	}
	sections := func() []symbols.Section {
		img, err := m.Image()
		if err != nil {
			return nil
		}
		return symbols.SectionsOf(img)
	}
	return symbols.NewTable(found, sections, symbols.DefaultOptions), report, nil
}

// exports makes a table of the export directory: of the image in memory or, if
// that cannot be read, of the image file.
func (m *Module) exports(ctx context.Context) *symbols.Table {
	if img, err := m.Image(); err == nil {
		if t := symbols.NewExportTable(img, symbols.DefaultOptions); t.Rank != symbols.NoSymbols {
			return t
		}
	}
	if file, err := m.File(ctx); err == nil {
		return symbols.NewExportTable(file, symbols.DefaultOptions)
	}
	return symbols.NewExportTable(nil, symbols.DefaultOptions)
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
	d := m.data()
	d.fileOnce.Do(func() {
		stamp, size := m.TimeDateStamp, uint32(m.Size)
		if !m.HasTimeDateStamp {
			d.fileErr = fmt.Errorf("%s: its time stamp is not known, so no image file can be looked for", m.ImageName)
			return
		}
		var report *symbols.Report
		d.file, _, report, d.fileErr = m.sys.finder.FindImage(ctx, symbols.WantImage{Name: m.ImageName, Stamp: stamp, Size: size})
		if d.fileErr != nil {
			d.fileErr = fmt.Errorf("%v", report)
		}
	})
	return d.file, d.fileErr
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
	p := Place{Module: m, Offset: va - m.Base}
	t := m.Symbols(ctx)
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
