package command

import (
	"kdap/engine/symbols"
	"kdap/engine/windows"
)

// tellLoad prints how a module's symbols were searched for, as noisy mode does.
func (s *Session) tellLoad(m *windows.Module, st *moduleState) {
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
			s.printf("DBGHELP: Couldn't load mismatched pdb for %s\n", visible(m.ImageName))
		} else if st.table.Unmatched {
			s.printf("DBGHELP: Loaded mismatched pdb for %s\n", visible(m.ImageName))
		}
	} else if st.err != nil {
		s.printf("DBGHELP: %s\n", visible(st.err.Error()))
	}
	s.printf("DBGHELP: %s - %s\n", visible(m.Name), loadReport(st.table))
	if file := st.table.File; file != "" {
		s.printf("        %s%s\n", visible(file), unmatched(st.table))
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
