package command

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/format"
	"kdap/engine/symbols"
	"kdap/engine/wildcard"
	"kdap/engine/windows"
)

func moduleCommands() []*Command {
	return []*Command{cmdLm(), cmdLd(), cmdReload(), cmdLmi(), cmdChksym(), cmdDh(), cmdImgscan()}
}

func cmdLm() *Command {
	return &Command{
		Names: []string{"lm"}, Args: "[vuklocnftpiD] [1m] [sm] [m Pattern] [M Pattern] [a Address]",
		Short: "list the loaded and unloaded modules",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			o, err := s.lmOptions(ctx, c.Args)
			if err != nil {
				return err
			}
			s.settle(ctx)
			return s.listModules(ctx, o)
		},
	}
}

// lmOptions are the letters of lm and its filters.
type lmOptions struct {
	given     map[byte]bool
	namesOnly bool
	sorted    bool
	name      *wildcard.Pattern // m
	path      *wildcard.Pattern // M
	addr      uint64            // a, when not 0
}

// lmOptions reads the arguments. Letters may stand together or apart, before
// or behind the filters; one that is not known is named and passed over.
func (s *Session) lmOptions(ctx context.Context, c *expr.Cursor) (lmOptions, error) {
	o := lmOptions{given: map[byte]bool{}}
	pattern := func() (*wildcard.Pattern, error) {
		if c.Done() {
			return nil, expr.Caret("Non-empty string required", c.Pos)
		}
		word := (&Call{Args: c}).Word()
		return wildcard.Compile(strings.Trim(word, `"`)), nil
	}
	for !c.Done() {
		letter := c.Text[c.Pos]
		c.Pos++
		var err error
		switch letter {
		case '1', 's':
			if c.Pos >= len(c.Text) || c.Text[c.Pos] != 'm' {
				return o, expr.Caret("Syntax error", c.Pos)
			}
			c.Pos++
			o.namesOnly = o.namesOnly || letter == '1'
			o.sorted = o.sorted || letter == 's'
		case 'm':
			o.name, err = pattern()
		case 'M':
			o.path, err = pattern()
		case 'a':
			o.addr, err = s.moduleOffset(c)
		default:
			if strings.IndexByte("vuklocnfetpiD", letter) < 0 {
				s.printf("Unknown option '%c'\n", letter)
			}
			o.given[letter] = true
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

// moduleOffset reads the address of the filter a: a symbol, a register or a
// number, up to the first character that belongs to none.
func (s *Session) moduleOffset(c *expr.Cursor) (uint64, error) {
	missing := func() error { return expr.Quote("Module offset missing from", c, c.Pos) }
	if c.Done() {
		return 0, missing()
	}
	start, end := c.Pos, c.Pos
	for end < len(c.Text) && isTermByte(c.Text[end]) {
		end++
	}
	if end == start || end < len(c.Text) && c.Text[end] == '(' {
		return 0, missing()
	}
	term := expr.NewCursor(c.Text[:end])
	term.Pos = start
	v, err := s.number(term)
	if err != nil {
		return 0, err
	}
	c.Pos = end
	return v, nil
}

func isTermByte(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80 ||
		strings.IndexByte("_!@$`.:?~", b) >= 0
}

func (s *Session) listModules(ctx context.Context, o lmOptions) error {
	mods := s.lmModules(ctx, o)
	dml := o.given['D'] || s.settings.dml
	if dml {
		s.printf("Browse full module list\n")
	}
	if !o.namesOnly {
		width := len(s.addressText(0))
		s.printf("%-*s %-*s   module name\n", width, "start", width, "end")
	}
	for _, m := range mods {
		if err := ctx.Err(); err != nil {
			return err
		}
		if o.namesOnly {
			s.printf("%s\n", visible(m.Name))
			continue
		}
		s.printf("%s %s   %s\n", s.addressText(m.Base), s.addressText(m.End()), s.lmRow(ctx, m, o))
		if o.given['v'] {
			s.lmDetails(ctx, m, o, dml)
		}
	}
	s.lmUnloaded(o)
	if o.name != nil {
		s.loadNtdll(ctx)
	}
	return nil
}

// lmModules returns the modules that the filters leave, in the order of the list.
func (s *Session) lmModules(ctx context.Context, o lmOptions) []*windows.Module {
	var mods []*windows.Module
	for _, m := range s.moduleSet(ctx).All() {
		st := s.modules.state(m)
		user := m.Base>>63 == 0
		_, path := m.DebuggerImage()
		switch {
		case o.given['u'] && !user, o.given['k'] && user,
			o.addr != 0 && !m.Contains(o.addr),
			o.name != nil && !o.name.Match(m.Name),
			o.path != nil && !o.path.Match(path),
			o.given['l'] && !st.loaded,
			o.given['e'] && !s.hasProblem(st):
			continue
		}
		mods = append(mods, m)
	}
	if o.sorted {
		slices.SortStableFunc(mods, func(a, b *windows.Module) int {
			return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
		})
	}
	return mods
}

// hasProblem says whether lm e lists a module.
func (s *Session) hasProblem(st *moduleState) bool {
	return st.letter() != ' ' || st.loaded && st.table.Rank <= symbols.ExportSymbols
}

// letter is what lm shows in front of the state: T when the image's header
// cannot be read, C when its checksum field is 0.
func (st *moduleState) letter() byte {
	switch {
	case st.badTime:
		return 'T'
	case st.badSum:
		return 'C'
	}
	return ' '
}

// symbolStateText is how lm names the state of a module's symbols.
func symbolStateText(st *moduleState) string {
	if !st.loaded {
		return "(deferred)"
	}
	switch st.table.Rank {
	case symbols.PrivatePDB:
		if st.noisy || hasPrivateData(st.table) {
			return "(private pdb symbols)"
		}
		return "(pdb symbols)"
	case symbols.PublicPDB:
		return "(pdb symbols)"
	case symbols.ISFSymbols:
		return "(isf symbols)"
	case symbols.ExportSymbols:
		return "(export symbols)"
	}
	return "(no symbols)"
}

// symbolFile returns the path of a module's symbol file, "" without one.
func symbolFile(st *moduleState) string {
	if !st.loaded {
		return ""
	}
	return st.table.File
}

// lmRow returns what stands behind the addresses of a module.
func (s *Session) lmRow(ctx context.Context, m *windows.Module, o lmOptions) string {
	st := s.modules.state(m)
	image, path := m.DebuggerImage()
	var row string
	switch {
	case o.given['i'], !o.imageColumn():
		file := symbolFile(st)
		switch {
		case file != "" && o.given['i'], st.loaded && st.table.Rank == symbols.ExportSymbols:
			file = image
		}
		row = fmt.Sprintf("%-8s %c %-22s %s", visible(m.Name), st.letter(), symbolStateText(st), visible(file))
	default:
		column := ""
		switch {
		case o.given['n']:
			column = fmt.Sprintf("%-12s", visible(image))
		case o.given['f']:
			column = fmt.Sprintf("%-12s", visible(path))
		case o.given['p']:
			column = "<none>"
			if mapped := s.mappedImage(ctx, m); mapped != "" {
				column = mapped
			}
			column = fmt.Sprintf("%-12s", column)
		}
		row = fmt.Sprintf("%-8s %s", visible(m.Name), column)
		if o.given['t'] && !o.given['v'] {
			row += " " + s.stampText(m)
		}
	}
	if o.given['c'] {
		row += fmt.Sprintf(" %08X", checkSum(m))
	}
	return row
}

// imageColumn says that the rows show an image or a time instead of the state.
func (o lmOptions) imageColumn() bool {
	return o.given['n'] || o.given['f'] || o.given['p'] || o.given['t']
}

// stampText shows a module's time stamp: as a date, in hexadecimal.
func (s *Session) stampText(m *windows.Module) string {
	switch {
	case !m.HasTimeDateStamp:
		return fmt.Sprintf("unavailable (%08X)", uint32(0xfffffffe))
	case m.TimeDateStamp == 0:
		return fmt.Sprintf("unavailable (%08X)", 0)
	case m.TimeDateStamp >= 1<<31:
		return fmt.Sprintf("***** Invalid (%08X)", m.TimeDateStamp)
	}
	return fmt.Sprintf("%s (%08X)", format.CTime(int64(m.TimeDateStamp)), m.TimeDateStamp)
}

// checkSum is the loader's, or that of the image's header.
func checkSum(m *windows.Module) uint32 {
	if m.CheckSum == 0 {
		if img, err := m.Image(); err == nil && m.Source != "declared" {
			return img.CheckSum
		}
	}
	return m.CheckSum
}

// lmDetails prints the rows that lm v shows below a module.
func (s *Session) lmDetails(ctx context.Context, m *windows.Module, o lmOptions, dml bool) {
	st := s.modules.state(m)
	image, path := m.DebuggerImage()
	line := func(label, value string) { s.printf("    %s %s\n", label, visible(value)) }
	if st.loaded && !o.given['i'] {
		line("Loaded symbol image file:", image)
	}
	if !o.given['p'] {
		if mapped := s.mappedImage(ctx, m); mapped != "" {
			line("Mapped memory image file:", mapped)
		}
	}
	if file := symbolFile(st); file != "" && (o.given['n'] || o.given['f'] || o.given['i'] || o.given['p']) {
		line("Symbol file:", file)
	}
	if !o.given['f'] {
		line("Image path:", path)
	}
	if !o.given['n'] {
		line("Image name:", image)
	}
	if dml {
		s.printf("    Browse all global symbols  functions  data  Symbol Reload\n")
	}
	row := func(label, value string) { s.printf("    %-17s %s\n", label, value) }
	img, err := m.Image()
	stamp := s.stampText(m)
	if err != nil {
		s.noteHeader(ctx, m, err)
	}
	if err == nil && img.Reproducible() {
		s.printf("    Image was built with /Brepro flag.\n")
		stamp = fmt.Sprintf("%08X (This is a reproducible build file hash, not a timestamp)", m.TimeDateStamp)
	}
	row("Timestamp:", stamp)
	if m.Source == "declared" || !m.HasTimeDateStamp {
		row("CheckSum:", "missing")
	} else {
		row("CheckSum:", fmt.Sprintf("%08X", checkSum(m)))
	}
	row("ImageSize:", fmt.Sprintf("%08X", m.Size))
	row("Mapping Form:", "Loaded")
	s.lmVersion(ctx, m, row)
}

// lmUnloaded prints the unloaded modules that the filters leave.
func (s *Session) lmUnloaded(o lmOptions) {
	if o.given['o'] || o.given['l'] || o.given['e'] || o.given['u'] || o.path != nil {
		return
	}
	headed := o.namesOnly
	for d, err := range s.sys.UnloadedDrivers() {
		if err != nil {
			s.notef("%v", err)
			return
		}
		if o.name != nil && !o.name.Match(d.Name) || o.addr != 0 && (o.addr < d.Start || o.addr >= d.End) {
			continue
		}
		if o.namesOnly {
			s.printf("%s\n", visible(d.Name))
			continue
		}
		if !headed {
			headed = true
			s.printf("\nUnloaded modules:\n")
		}
		s.printf("%s %s   %-8s\n", s.addressText(d.Start), s.addressText(d.End), visible(d.Name))
		if o.given['v'] || o.given['t'] {
			s.printf("    Timestamp: unavailable (00000000)\n    Checksum:  00000000\n    ImageSize:  %08X\n", d.End-d.Start)
		}
	}
}
