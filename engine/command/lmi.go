package command

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/format"
	"kdap/engine/memory"
	"kdap/engine/pdb"
	"kdap/engine/pe"
	"kdap/engine/symbols"
	"kdap/engine/windows"
)

func cmdLmi() *Command {
	return &Command{
		Names: []string{"!lmi"}, Args: "Module|Address", Short: "show a module's header and where its symbols come from",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			if c.Args.Done() {
				return Failf("You must specify a module")
			}
			word := c.Word()
			c.Args.Pos = c.end0()
			s.settle(ctx)
			s.printf("Loaded Module Info: [%s] \n", strings.ToLower(word))
			m := s.moduleFor(ctx, word)
			if m == nil {
				return Failf("%s not found", strings.ToLower(word))
			}
			s.moduleInfo(ctx, m)
			return nil
		},
	}
}

// moduleFor finds a module by its name, its file's name or an address in it.
func (s *Session) moduleFor(ctx context.Context, word string) *windows.Module {
	if m := s.moduleNamed(ctx, word); m != nil {
		return m
	}
	c := expr.NewCursor(word)
	va, err := s.number(c)
	if err != nil || !c.Done() {
		return nil
	}
	return s.moduleSet(ctx).Find(va)
}

// ntHeader returns where an image's NT header is, and whether the page of the
// DOS header could be read.
func ntHeader(space memory.Space, base uint64) (va uint64, ok bool) {
	var b [0x40]byte
	if _, err := space.Read(base, b[:]); err != nil || b[0] != 'M' || b[1] != 'Z' {
		return 0, false
	}
	return base + uint64(binary.LittleEndian.Uint32(b[0x3c:])), true
}

// noHeader says which header of a module's image cannot be read.
func noHeader(m *windows.Module) string {
	if va, ok := ntHeader(m.Space(), m.Base); ok {
		return fmt.Sprintf("Cannot read Image NT header @ %x", va)
	}
	return fmt.Sprintf("Cannot read Image header @ %x", m.Base)
}

// noteHeader tells what identified a module whose header cannot be read, or why
// nothing did.
func (s *Session) noteHeader(ctx context.Context, m *windows.Module, why error) {
	if _, _, err := m.Stamp(ctx); err != nil {
		s.notef("%s: %v", m.Name, err)
		return
	}
	if p, ok := m.IdentifiedBy(); ok {
		pid, _ := p.PID()
		s.notef("%s: %v; process %x, which maps the same file, has it", m.Name, why, pid)
	}
}

func (s *Session) moduleInfo(ctx context.Context, m *windows.Module) {
	st := s.modules.state(m)
	img, err := m.Image()
	if err != nil {
		s.printf("%s\n    Load Report: %s\n", noHeader(m), loadReport(tableOf(st)))
		s.noteHeader(ctx, m, err)
		return
	}
	image, _ := m.DebuggerImage()
	s.printf("         Module: %s\n   Base Address: %016x\n     Image Name: %s\n", visible(stem(image)), m.Base, visible(image))
	s.printf("   Machine Type: %d (%s)\n     Time Stamp: %x %s\n", uint16(img.Machine), machineName(img.Machine), m.TimeDateStamp, s.infoStamp(m, img))
	s.printf("           Size: %x\n       CheckSum: %x\nCharacteristics: %x  \n", m.Size, checkSum(m), img.Characteristics)
	s.printf("Debug Data Dirs: Type  Size     VA  Pointer\n")
	entries, _ := img.DebugDirectory()
	for _, e := range entries {
		s.printf("%21s  %4x, %5x, %7x %s\n", debugTypeName(e.Type), e.SizeOfData, e.AddressOfRawData, e.PointerToRawData, debugEntryText(img, e))
	}
	if st.loaded {
		s.imageTypeInfo(ctx, m, image, len(entries) > 0)
	}
	s.symbolTypeInfo(st)
}

// infoStamp shows the time of !lmi, where real hashes are told.
func (s *Session) infoStamp(m *windows.Module, img *pe.Image) string {
	if img.Reproducible() {
		return "(This is a reproducible build file hash, not a true timestamp)"
	}
	return format.CTime(int64(m.TimeDateStamp))
}

func (s *Session) imageTypeInfo(ctx context.Context, m *windows.Module, image string, debug bool) {
	switch mapped := s.mappedImage(ctx, m); {
	case mapped != "":
		s.printf("     Image Type: FILE     - Image read successfully from debugger.\n                 %s\n", visible(mapped))
	case debug:
		s.printf("     Image Type: MEMORY   - Image read successfully from loaded memory.\n")
	default:
		s.printf("     Image Type: MEMORY   - Image read successfully from symbol search path.\n                 %s\n", visible(image))
	}
}

func (s *Session) symbolTypeInfo(st *moduleState) {
	t := tableOf(st)
	switch {
	case !st.loaded:
		s.printf("    Symbol Type: DEFERRED - No error - symbol load deferred\n")
	case t.Rank >= symbols.PublicPDB:
		s.printf("    Symbol Type: PDB      - Symbols loaded successfully from symbol search path.\n                 %s\n", visible(t.File))
	case t.Rank == symbols.ISFSymbols:
		s.printf("    Symbol Type: ISF      - Symbols loaded successfully from symbol search path.\n                 %s\n", visible(t.File))
	case t.Rank == symbols.ExportSymbols:
		s.printf("    Symbol Type: EXPORT   - PDB not found\n")
	default:
		s.printf("    Symbol Type: NONE     - PDB not found from symbol search path.\n")
	}
	if c, ok := compilerOf(t.PDB()); ok {
		s.printf("       Compiler: %s\n", c)
	}
	s.printf("    Load Report: %s\n", loadReport(t))
	if t.File != "" {
		s.printf("                 %s%s\n", visible(t.File), unmatched(t))
	}
}

// tableOf returns a module's table; an empty one while it is deferred.
func tableOf(st *moduleState) *symbols.Table {
	if st.table == nil {
		return &symbols.Table{}
	}
	return st.table
}

// compilerOf tells which compiler made the first module of a private PDB that
// names one.
func compilerOf(f *pdb.File) (string, bool) {
	if f == nil || !f.HasPrivate() {
		return "", false
	}
	for i := range f.Modules() {
		if c, ok := f.Compiler(i); ok {
			if text := compilerText(c); text != "" {
				return text, true
			}
		}
	}
	return "", false
}

// stem is a file's name without its last extension.
func stem(file string) string { return strings.TrimSuffix(file, filepath.Ext(file)) }

func machineName(m pe.Machine) string {
	switch m {
	case pe.MachineAMD64:
		return "X64"
	case pe.MachineI386:
		return "I386"
	case pe.MachineARM64:
		return "ARM64"
	case pe.MachineARMNT:
		return "ARM"
	}
	return "Unknown"
}

// debugTypeName is how !lmi names a type of debug data.
func debugTypeName(t uint32) string {
	names := []string{
		"UNKNOWN", "COFF", "CODEVIEW", "FPO", "MISC", "EXCEPTION", "FIXUP", "OMAP_TO_SRC", "OMAP_FROM_SRC",
		"BORLAND", "RESERVED10", "CLSID", "VC_FEATURE", "POGO", "ILTCG", "MPX", "REPRO", "EMBEDDED_PDB",
		"SPGO", "PDBCHECKSUM", "EX_DLLCHARACTERISTICS",
	}
	if t < uint32(len(names)) {
		return names[t]
	}
	return "??"
}

// debugEntryText tells what a debug entry holds.
func debugEntryText(img *pe.Image, e pe.DebugEntry) string {
	if e.PointerToRawData == 0 {
		return " [Debug data not mapped] - Can't validate symbols, if present."
	}
	data, err := img.DebugData(e, 24+1024)
	switch {
	case e.Type == pe.DebugRepro:
		return "Reproducible build"
	case err != nil && len(data) < 24:
		return " [Data not mapped]"
	case e.Type != pe.DebugCodeView:
		return ""
	}
	cv, err := pe.ParseCodeView(data)
	switch {
	case err != nil:
		return " [Data not mapped]"
	case cv.Format == "RSDS":
		return fmt.Sprintf("RSDS - GUID: {%s}\n               Age: %x, Pdb: %s", cv.GUID.Dashed(), cv.Age, visible(cv.Name))
	}
	return fmt.Sprintf("%s - Sig: %x, Age: %x, Pdb: %s", cv.Format, cv.Signature, cv.Age, visible(cv.Name))
}

// compilerText is the row of a compile record.
func compilerText(c pdb.Compiler) string {
	languages := []string{"C", "C++", "FORTRAN", "MASM", "PASCAL", "BASIC", "COBOL", "LINK", "CVTRES", "CVTPGD", "C#"}
	name := "Unknown"
	if int(c.Language) < len(languages) {
		name = languages[c.Language]
	}
	return fmt.Sprintf("%s - front end [%d.%d bld %d] - back end [%d.%d bld %d]", name,
		c.Frontend[0], c.Frontend[1], c.Frontend[2], c.Backend[0], c.Backend[1], c.Backend[2])
}
