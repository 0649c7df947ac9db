package command

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"kdap/engine/pdb"
	"kdap/engine/pe"
	"kdap/engine/windows"
)

func cmdChksym() *Command {
	return &Command{
		Names: []string{"!chksym", "!itoldyouso"}, Args: "Module [SymbolFile]",
		Short: "compare a module with its symbol file or another one",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			if c.Args.Done() {
				name := "chksym"
				if strings.EqualFold(c.Name, "!itoldyouso") {
					name = "IToldYouSo"
				}
				s.printf("\n!%[1]s <module> [symbol]\n\n!%[1]s tests the validity of a module against a symbol file.\n"+
					"The module can be specified by either its name or base address.\n"+
					"If a symbol file is not specified, then the loaded symbol is tested.\n"+
					"Otherwise, if a pdb or dbg symbol file path is specified, it is tested\nagainst the loaded module.\n\n", name)
				return nil
			}
			word := c.Word()
			file := ""
			if !c.Args.Done() {
				file = strings.Trim(strings.TrimSpace(c.Args.Text[c.Args.Pos:c.end0()]), `"`)
			}
			c.Args.Pos = c.end0()
			s.printf("\n")
			s.settle(ctx)
			m := s.moduleFor(ctx, word)
			if m == nil {
				return Failf("%s - ignored. The input name/address could not be resolved to a loaded module.\nCould not find module %s", word, word)
			}
			s.checkSymbols(ctx, m, file)
			return nil
		},
	}
}

// checkSymbols compares a module with a symbol file; "" means the loaded one.
func (s *Session) checkSymbols(ctx context.Context, m *windows.Module, file string) {
	if ext := strings.ToLower(filepath.Ext(file)); file != "" && ext != ".pdb" && ext != ".dbg" {
		s.printf("%s - ignored because unknown file extension.\n\n", visible(file))
		file = ""
	}
	t := s.symbolsOf(ctx, m)
	if _, err := m.Image(); err != nil {
		s.printf("%s\n", noHeader(m))
		s.notef("%v", err)
		return
	}
	image, _ := m.DebuggerImage()
	s.printf("%s\n    Timestamp: %X\n  SizeOfImage: %X\n", visible(image), m.TimeDateStamp, m.Size)
	cv, err := m.CodeView()
	switch {
	case err != nil:
		s.notef("%s: %v", m.Name, err)
		s.printf("      pdb sig: 0\n          age: 0\n\n")
	default:
		s.printf("          pdb: %s\n      pdb sig: %s\n          age: %X\n\n", visible(baseOf(cv.Name)), signature(cv), cv.Age)
	}
	loaded := t.PDB()
	if file == "" {
		if loaded == nil {
			return
		}
		s.printf("Loaded pdb is %s\n\n", visible(t.File))
		s.compareSymbols(loaded, t.File, cv, image)
		return
	}
	other, err := pdb.Open(file)
	if err != nil {
		s.notef("%v", err)
		s.printf("%s - Could not find PDB.\n\n", visible(file))
		return
	}
	defer other.Close()
	s.compareSymbols(other, file, cv, image)
}

func (s *Session) compareSymbols(f *pdb.File, file string, cv pe.CodeView, image string) {
	id := f.ID()
	name := visible(baseOf(file))
	s.printf("%s\n      pdb sig: %s\n          age: %X\n\n", name, pe.GUID(id.GUID).Dashed(), id.Age)
	verdict := "MATCH"
	switch {
	case [16]byte(cv.GUID) != [16]byte(id.GUID):
		verdict = "sig MISMATCH"
	case cv.Age != id.Age:
		verdict = "age MISMATCH"
	}
	s.printf("%s: %s and %s\n\n", verdict, name, visible(image))
}

// signature is how a record identifies its PDB.
func signature(cv pe.CodeView) string {
	if cv.Format == "NB10" {
		return fmt.Sprintf("%X", cv.Signature)
	}
	return cv.GUID.Dashed()
}

// baseOf is the last part of a path of any system.
func baseOf(path string) string { return path[strings.LastIndexAny(path, `\/`)+1:] }
