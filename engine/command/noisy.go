package command

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kdap/engine/symbols"
	"kdap/engine/windows"
)

// fiveLevelKernel is the kernel for five levels of page tables, which the
// recorded debugger does not look for.
const fiveLevelKernel = "ntkrla57.exe"

// tellLoad prints how a module's symbols were searched for, as noisy mode does.
func (s *Session) tellLoad(m *windows.Module, st *moduleState) {
	image, _ := m.DebuggerImage()
	if st.report != nil {
		mismatched := false
		for _, t := range st.report.Tries {
			switch t.Outcome {
			case symbols.NotFound:
				s.printf("DBGHELP: %s - file not found\n", visible(t.File))
			case symbols.Mismatched:
				mismatched = true
				s.printf("DBGHELP: %s - mismatched pdb\n", visible(t.File))
			case symbols.Matched:
			default:
				s.printf("DBGHELP: %s - %s: %s\n", visible(t.File), t.Outcome, visible(t.Detail))
			}
		}
		if mismatched && st.failed {
			s.printf("DBGHELP: Couldn't load mismatched pdb for %s\n", visible(image))
		} else if st.table.Unmatched {
			s.printf("DBGHELP: Loaded mismatched pdb for %s\n", visible(image))
		}
	} else if st.err != nil {
		s.printf("DBGHELP: %s\n", visible(st.err.Error()))
	}
	s.printf("DBGHELP: %s - %s\n", visible(m.Name), loadReport(st.table))
	if file := st.table.File; file != "" {
		s.printf("        %s%s\n", visible(file), unmatched(st.table))
	}
}

// tellImage prints how a module's image file was searched for: by its name, or
// all names of a kernel, in the current folder and in those of the two paths,
// each of them twice as the debugger does.
func (s *Session) tellImage(m *windows.Module) {
	f := s.finder()
	if im, path, err := m.LocalFile(s.ctx, f); err == nil {
		_ = im.Close()
		s.printf("DBGHELP: %s - OK\n", visible(path))
		if s.mappedImage(s.ctx, m) != "" {
			s.printf("DBGENG:  %s - Mapped image memory\n", visible(path))
		}
		return
	}
	image, loader := m.DebuggerImage()
	names := []string{image}
	if m == s.sys.Nt() {
		names, loader = symbols.KernelNames(), m.Path
		if !strings.EqualFold(image, fiveLevelKernel) {
			names = slices.DeleteFunc(names, func(n string) bool { return n == fiveLevelKernel })
		}
	}
	here, _ := os.Getwd()
	for i, path := range []symbols.Path{f.Images, f.Path} {
		if i == 0 && len(path) == 0 {
			continue
		}
		for _, name := range names {
			for range 2 {
				s.printf("DBGHELP: %s - file not found\n", visible(filepath.Join(here, name)))
			}
			for _, e := range path {
				for range 2 {
					if e.Kind == symbols.Folder {
						s.printf("DBGHELP: %s not found in %s\n", visible(name), visible(strings.ToLower(e.Text)))
					}
				}
			}
		}
	}
	if !m.User {
		s.printf("DBGENG:  %s - Image mapping disallowed by non-local path.\n", visible(loader))
	} else {
		s.printf("DBGENG:  %s - Couldn't map image from disk.\n", visible(loader))
	}
}

// loadReport names what a table has, as !lmi and noisy mode do.
func loadReport(t *symbols.Table) string {
	switch t.Rank {
	case symbols.PrivatePDB:
		return "private symbols & lines "
	case symbols.PublicPDB:
		return "public symbols  "
	case symbols.ISFSymbols:
		return "isf symbols "
	case symbols.ExportSymbols:
		return "export symbols"
	}
	return "no symbols loaded"
}

func unmatched(t *symbols.Table) string {
	if t.Unmatched {
		return " - unmatched"
	}
	return ""
}
