package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/format"
	"kdap/engine/pe"
)

const dhUsage = `Usage: dh [options] address

Dumps headers from an image based at address
Options:
   -a      Dump everything
   -e      Dump export section
   -f      Dump file headers
   -i      Dump import table
   -s      Dump section headers
Without options the file headers and the section headers are shown.
An address is the name of a module or where an image begins.

`

func cmdDh() *Command {
	return &Command{
		Names: []string{"!dh"}, Args: "[-f] [-s] [-a] [-e] [-i] Address", Short: "show the headers of an image",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			given, word, ok := dhOptions(c)
			if !ok {
				s.printf("%s", dhUsage)
				return nil
			}
			if word == "" {
				return nil
			}
			va, ok := s.imageAddress(ctx, word)
			if !ok {
				return nil
			}
			s.dumpHeaders(ctx, va, given)
			return nil
		},
	}
}

func dhOptions(c *Call) (given map[byte]bool, word string, ok bool) {
	given = map[byte]bool{}
	for !c.Args.Done() {
		w := c.Word()
		if w[0] != '-' && w[0] != '/' {
			word = w
			continue
		}
		for _, letter := range []byte(w[1:]) {
			if strings.IndexByte("aefis", letter) < 0 {
				c.Args.Pos = c.end0()
				return nil, "", false
			}
			given[letter] = true
		}
	}
	if given['a'] {
		given = map[byte]bool{'e': true, 'f': true, 'i': true, 's': true}
	}
	if len(given) == 0 {
		given['f'], given['s'] = true, true
	}
	return given, word, true
}

// imageAddress evaluates an address or the name of a module or its file.
func (s *Session) imageAddress(ctx context.Context, word string) (uint64, bool) {
	if m := s.moduleNamed(ctx, word); m != nil {
		return m.Base, true
	}
	c := expr.NewCursor(word)
	va, err := s.number(c)
	return va, err == nil && c.Done()
}

func (s *Session) dumpHeaders(ctx context.Context, va uint64, given map[byte]bool) {
	space := s.space()
	if m := s.moduleSet(ctx).Find(va); m != nil && m.Base == va {
		space = m.Space()
	}
	var magic [2]byte
	if _, err := space.Read(va, magic[:]); err != nil {
		s.notef("%v", err)
		return
	}
	if magic != [2]byte{'M', 'Z'} {
		s.printf("No file header\n")
		return
	}
	img, err := pe.FromMemory(space, va)
	if err != nil {
		s.notef("%v", err)
		if errors.Is(err, pe.ErrNotImage) {
			s.printf("No file header\n")
		} else {
			s.printf("Bad file header\n")
		}
		return
	}
	if given['f'] {
		s.dumpFileHeader(img)
		s.dumpOptionalHeader(img, va)
	}
	if given['s'] {
		s.dumpSections(img)
	}
	if given['e'] {
		s.dumpExports(ctx, img, va)
	}
	if given['i'] {
		s.dumpImports(ctx, img, va)
	}
}

// A named bit of a header's field.
type flagName struct {
	bit  uint32
	name string
}

func (s *Session) printFlags(v uint32, indent int, names []flagName) {
	for _, f := range names {
		if v&f.bit != 0 {
			s.printf("%*s%s\n", indent, "", f.name)
		}
	}
}

var characteristicNames = []flagName{
	{0x1, "Relocations stripped"},
	{0x2, "Executable"},
	{0x4, "Line numbers stripped"},
	{0x8, "Symbols stripped"},
	{0x10, "Aggressively trim working set"},
	{0x20, "App can handle >2gb addresses"},
	{0x80, "Bytes reversed"},
	{0x100, "32 bit word machine"},
	{0x200, "Debug information stripped"},
	{0x400, "Copy to swap file if on removable media"},
	{0x800, "Copy to swap file if on net media"},
	{0x1000, "System"},
	{0x2000, "DLL"},
	{0x4000, "Uniprocessor machine only"},
	{0x8000, "Bytes reversed (high)"},
}

func (s *Session) dumpFileHeader(img *pe.Image) {
	kind := "EXECUTABLE IMAGE"
	if img.Characteristics&pe.CharDLL != 0 {
		kind = "DLL"
	}
	s.printf("\nFile Type: %s\n", kind)
	if d := img.Directory(pe.DirLoadConfig); d.RVA != 0 {
		var b [4]byte
		if _, err := img.ReadRVA(d.RVA, b[:]); err != nil {
			s.printf("Can't read load config section\n")
		}
	}
	s.printf("FILE HEADER VALUES\n")
	s.printf("%8X machine (%s)\n", uint16(img.Machine), machineName(img.Machine))
	s.printf("%8X number of sections\n", img.NumberOfSections)
	s.printf("%8X time date stamp %s\n\n", img.TimeDateStamp, format.CTime(int64(img.TimeDateStamp)))
	s.printf("%8X file pointer to symbol table\n", img.PointerToSymbolTable)
	s.printf("%8X number of symbols\n", img.NumberOfSymbols)
	s.printf("%8X size of optional header\n", img.SizeOfOptionalHeader)
	s.printf("%8X characteristics\n", img.Characteristics)
	s.printFlags(uint32(img.Characteristics), 12, characteristicNames)
	s.printf("\n")
}

var dllCharacteristicNames = []flagName{
	{0x20, "High entropy VA supported"},
	{0x40, "Dynamic base"},
	{0x80, "Force integrity"},
	{0x100, "NX compatible"},
	{0x200, "No isolation"},
	{0x400, "No structured exception handler"},
	{0x800, "Do not bind"},
	{0x1000, "AppContainer"},
	{0x2000, "WDM driver"},
	{0x4000, "Guard"},
	{0x8000, "Terminal server aware"},
}

// directoryNames are the data directories as !dh names them.
var directoryNames = []string{
	"Export", "Import", "Resource", "Exception", "Security", "Base Relocation", "Debug", "Description",
	"Special", "Thread Storage", "Load Configuration", "Bound Import", "Import Address Table", "Delay Import",
	"COR20 Header", "Reserved",
}

func subsystemName(v uint16) string {
	names := map[uint16]string{
		0: "Unknown", 1: "Native", 2: "Windows GUI", 3: "Windows CUI", 5: "OS/2 CUI", 7: "Posix CUI", 8: "Native Windows",
		9: "Windows CE GUI", 10: "EFI application", 11: "EFI boot service driver", 12: "EFI runtime driver", 13: "EFI ROM",
		14: "XBOX", 16: "Windows boot application",
	}
	if name, ok := names[v]; ok {
		return name
	}
	return "Unknown"
}

func (s *Session) dumpOptionalHeader(img *pe.Image, va uint64) {
	word := func(v uint32, text string) { s.printf("%8X %s\n", v, text) }
	version := func(major, minor uint16, text string) {
		s.printf("%8s %s\n", fmt.Sprintf("%d.%02d", major, minor), text)
	}
	long := func(v uint64, text string) {
		if img.PE32Plus {
			s.printf("%016x %s\n", v, text)
		} else {
			s.printf("%08x %s\n", v, text)
		}
	}
	s.printf("OPTIONAL HEADER VALUES\n")
	word(uint32(img.Magic), "magic #")
	version(uint16(img.MajorLinkerVersion), uint16(img.MinorLinkerVersion), "linker version")
	word(img.SizeOfCode, "size of code")
	word(img.SizeOfInitializedData, "size of initialized data")
	word(img.SizeOfUninitializedData, "size of uninitialized data")
	word(img.AddressOfEntryPoint, "address of entry point")
	word(img.BaseOfCode, "base of code")
	s.printf("         ----- new -----\n")
	long(img.ImageBase, "image base")
	word(img.SectionAlignment, "section alignment")
	word(img.FileAlignment, "file alignment")
	s.printf("%8X subsystem (%s)\n", img.Subsystem, subsystemName(img.Subsystem))
	version(img.MajorOperatingSystemVersion, img.MinorOperatingSystemVersion, "operating system version")
	version(img.MajorImageVersion, img.MinorImageVersion, "image version")
	version(img.MajorSubsystemVersion, img.MinorSubsystemVersion, "subsystem version")
	word(img.SizeOfImage, "size of image")
	word(img.SizeOfHeaders, "size of headers")
	word(img.CheckSum, "checksum")
	long(img.SizeOfStackReserve, "size of stack reserve")
	long(img.SizeOfStackCommit, "size of stack commit")
	long(img.SizeOfHeapReserve, "size of heap reserve")
	long(img.SizeOfHeapCommit, "size of heap commit")
	word(uint32(img.DllCharacteristics), " DLL characteristics")
	s.printFlags(uint32(img.DllCharacteristics), 12, dllCharacteristicNames)
	for i, name := range directoryNames {
		d := img.Directory(i)
		s.printf("%8X [%8X] address [size] of %s Directory\n", d.RVA, d.Size, name)
	}
	s.printf("\n")
}

var sectionFlagNames = []flagName{
	{0x20, "Code"},
	{0x40, "Initialized Data"},
	{0x80, "Uninitialized Data"},
	{0x100, "Other"},
	{0x200, "Info"},
	{0x800, "Remove"},
	{0x1000, "Communal"},
	{0x8000, "GP Relative"},
	{0x1000000, "Extended relocations"},
	{0x2000000, "Discardable"},
	{0x4000000, "Not Cached"},
	{0x8000000, "Not Paged"},
	{0x10000000, "Shared"},
}

func (s *Session) dumpSections(img *pe.Image) {
	dir := img.Directory(pe.DirDebug)
	for i, sec := range img.Sections {
		s.printf("\nSECTION HEADER #%X\n%8s name\n", i+1, visible(sec.Name))
		for _, row := range []struct {
			v    uint32
			text string
		}{
			{sec.VirtualSize, "virtual size"},
			{sec.VirtualAddress, "virtual address"},
			{sec.SizeOfRawData, "size of raw data"},
			{sec.PointerToRawData, "file pointer to raw data"},
			{sec.PointerToRelocations, "file pointer to relocation table"},
			{sec.PointerToLinenumbers, "file pointer to line numbers"},
			{uint32(sec.NumberOfRelocations), "number of relocations"},
			{uint32(sec.NumberOfLinenumbers), "number of line numbers"},
		} {
			s.printf("%8X %s\n", row.v, row.text)
		}
		s.printf("%08X flags\n", sec.Characteristics)
		s.printFlags(sec.Characteristics, 9, sectionFlagNames)
		if align := sec.Characteristics >> 20 & 15; align == 0 {
			s.printf("         (no align specified)\n")
		} else {
			s.printf("         %d byte align\n", 1<<(align-1))
		}
		s.printf("         %s\n", sectionAccess(sec.Characteristics))
		if dir.RVA != 0 && dir.RVA >= sec.VirtualAddress && dir.RVA-sec.VirtualAddress < max(sec.VirtualSize, sec.SizeOfRawData) {
			s.dumpDebugDirectory(img)
		}
	}
}

func sectionAccess(flags uint32) string {
	var words []string
	if flags&0x20000000 != 0 {
		words = append(words, "Execute")
	}
	switch {
	case flags&0x40000000 != 0 && flags&0x80000000 != 0:
		words = append(words, "Read Write")
	case flags&0x40000000 != 0 && len(words) == 0:
		words = append(words, "Read Only")
	case flags&0x40000000 != 0:
		words = append(words, "Read")
	case flags&0x80000000 != 0:
		words = append(words, "Write")
	}
	return strings.Join(words, " ")
}

func (s *Session) dumpDebugDirectory(img *pe.Image) {
	s.printf("\n\nDebug Directories(%d)\n\tType       Size     Address  Pointer\n", img.Directory(pe.DirDebug).Size/28)
	entries, err := img.DebugDirectory()
	for _, e := range entries {
		name := fmt.Sprintf("(%6d)", e.Type)
		switch e.Type {
		case pe.DebugCOFF:
			name = "coff"
		case pe.DebugCodeView:
			name = "cv"
		case pe.DebugFPO:
			name = "fpo"
		case pe.DebugMisc:
			name = "misc"
		}
		s.printf("\t%-10s %4x    %8x %8x", name, e.SizeOfData, e.AddressOfRawData, e.PointerToRawData)
		if e.Type == pe.DebugCodeView && e.PointerToRawData != 0 {
			if data, _ := img.DebugData(e, 24+1024); len(data) > 0 {
				if cv, err := pe.ParseCodeView(data); err == nil {
					s.printf("\tFormat: %s, guid, %x, %s", cv.Format, cv.Age, visible(cv.Name))
				}
			}
		}
		s.printf("\n")
	}
	if err != nil {
		s.printf("Can't read debug dir\n")
	}
}

func (s *Session) dumpExports(ctx context.Context, img *pe.Image, va uint64) {
	dir := img.Directory(pe.DirExport)
	ex, err := img.Exports()
	if ex == nil {
		if err != nil && !errors.Is(err, pe.ErrNoDirectory) {
			s.notef("%v", err)
		}
		s.printf("No exports\n")
		return
	}
	s.printf("_IMAGE_EXPORT_DIRECTORY %016x (size: %08x)\nName: %s \n", va+uint64(dir.RVA), dir.Size, visible(ex.Name))
	s.printf("Characteristics: %08x Ordinal base: %d.\n", 0, ex.Base)
	s.printf("Number of Functions: %d. Number of names: %d. EAT: %016x.\n", ex.NumberOfFunctions, ex.NumberOfNames, va+uint64(ex.FunctionsRVA))
	s.printf("   ordinal hint target           name\n")
	for _, e := range ex.ByOrdinal() {
		if ctx.Err() != nil {
			return
		}
		name, hint := visible(e.Name), fmt.Sprintf("%4d", e.Hint)
		if e.Name == "" {
			name, hint = "[NONAME]", "    "
		}
		target := fmt.Sprintf("%016X", va+uint64(e.RVA))
		if e.Forwarder != "" {
			name += " (forwarded to " + visible(e.Forwarder) + ")"
		}
		s.printf("%10d %s %s %s\n", e.Ordinal, hint, target, name)
	}
}

func (s *Session) dumpImports(ctx context.Context, img *pe.Image, va uint64) {
	list, err := img.Imports()
	if len(list) == 0 {
		if err != nil && !errors.Is(err, pe.ErrNoDirectory) {
			s.notef("%v", err)
		}
		s.printf("No imports\n")
		return
	}
	dir := img.Directory(pe.DirImport)
	for i, m := range list {
		if ctx.Err() != nil {
			return
		}
		s.printf("  _IMAGE_IMPORT_DESCRIPTOR %016x\n    %s\n", va+uint64(dir.RVA)+uint64(i)*20, visible(m.DLL))
		s.printf("      %016X Import Address Table\n      %016X Import Name Table\n", va+uint64(m.FirstThunk), va+uint64(m.OriginalFirstThunk))
		s.printf("      %16d time date stamp\n      %16d Index of first forwarder reference\n\n", m.TimeDateStamp, m.ForwarderChain)
		for _, e := range m.Entries {
			if e.Name == "" {
				s.printf("       %016X      Ordinal %4d\n", e.Address, e.Ordinal)
			} else {
				s.printf("       %016X %4X %s\n", e.Address, e.Ordinal, visible(e.Name))
			}
		}
		s.printf("\n")
	}
}
