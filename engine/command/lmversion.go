package command

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/pe"
	"kdap/engine/windows"
)

// lmVersion prints the rows of a module's version resource. Without one the
// debugger lists the languages it looked for.
func (s *Session) lmVersion(ctx context.Context, m *windows.Module, row func(label, value string)) {
	if cv, err := m.SavedCodeView(); err == nil {
		row("Index Key:", "(GUID) "+cv.GUID.String())
	}
	v := s.moduleVersion(ctx, m)
	if v == nil {
		row("Translations:", strings.Join(defaultTranslations, " "))
		s.printf("    Information from resource tables:\n")
		return
	}
	s.printVersion(v, row)
}

// moduleVersion reads a module's version resource: from memory or from the
// image file that is mapped for it. A resource directory in the dump that
// cannot be read counts as none.
func (s *Session) moduleVersion(ctx context.Context, m *windows.Module) *pe.Version {
	if img, err := m.Image(); err == nil {
		if v, err := img.Version(); err == nil {
			return v
		}
	}
	if s.mappedImage(ctx, m) == "" {
		if v, ok := m.SavedVersion(); ok {
			return v
		}
		return nil
	}
	img, _, err := m.LocalFile(ctx, s.finder())
	if err != nil {
		return nil
	}
	defer img.Close()
	if v, err := img.Version(); err == nil {
		return v
	}
	return nil
}

func (s *Session) printVersion(v *pe.Version, row func(label, value string)) {
	if v.Fixed {
		quad := func(q [4]uint16) string { return fmt.Sprintf("%d.%d.%d.%d", q[0], q[1], q[2], q[3]) }
		row("File version:", quad(v.File))
		row("Product version:", quad(v.Product))
		row("File flags:", fmt.Sprintf("%X (Mask %X)%s", v.Flags&v.FlagsMask, v.FlagsMask, versionFlags(v.Flags&v.FlagsMask)))
		row("File OS:", fmt.Sprintf("%X %s", v.OS, versionOS(v.OS)))
		row("File type:", fmt.Sprintf("%X.%X %s", v.Type, v.Subtype, versionType(v.Type)))
		row("File date:", fmt.Sprintf("%08X.%08X", v.DateMS, v.DateLS))
	}
	var codes []string
	for _, t := range v.Translations {
		codes = append(codes, fmt.Sprintf("%04x.%04x", t&0xffff, t>>16))
	}
	if codes == nil {
		codes = defaultTranslations
	}
	row("Translations:", strings.Join(codes, " "))
	s.printf("    Information from resource tables:\n")
	for _, key := range versionKeys {
		if text := v.String(key); text != "" {
			s.printf("        %-17s %s\n", key+":", visible(text))
		}
	}
}

// defaultTranslations are the languages and code pages that are looked for when
// the resource does not name its own.
var defaultTranslations = []string{"0000.04b0", "0000.04e4", "0409.04b0", "0409.04e4"}

// versionKeys are the texts of a version resource in the order of lm.
var versionKeys = []string{
	"CompanyName", "ProductName", "InternalName", "OriginalFilename", "ProductVersion", "FileVersion",
	"PrivateBuild", "SpecialBuild", "FileDescription", "LegalCopyright", "LegalTrademarks", "Comments",
}

// versionFlags names the bits of VS_FIXEDFILEINFO.dwFileFlags.
func versionFlags(flags uint32) string {
	text := ""
	for i, name := range []string{"Debug", "Prerelease", "Patched", "Private", "InfoInferred", "Special"} {
		if flags>>i&1 != 0 {
			text += " " + name
		}
	}
	return text
}

// versionOS names VS_FIXEDFILEINFO.dwFileOS: the system and what runs on it.
func versionOS(v uint32) string {
	pick := func(names []string, i uint32) string {
		if i < uint32(len(names)) {
			return names[i]
		}
		return "Unknown"
	}
	return pick([]string{"Unknown", "DOS", "OS/2 16", "OS/2 32", "NT"}, v>>16) + " " +
		pick([]string{"Base", "Win16", "PM16", "PM32", "Win32"}, v&0xffff)
}

func versionType(v uint32) string {
	switch v {
	case 1:
		return "App"
	case 2:
		return "Dll"
	case 3:
		return "Driver"
	case 4:
		return "Font"
	case 5:
		return "VxD"
	case 7:
		return "Static Lib"
	}
	return "Unknown"
}
