package command

import (
	"fmt"
	"strings"

	"kdap/engine/windows"
)

// printErrorSummary lists modules whose symbols could not be loaded.
func (s *Session) printErrorSummary(failed []*windows.Module) {
	if len(failed) == 0 {
		return
	}
	s.printf("\n************* Symbol Loading Error Summary **************\nModule name            Error\n")
	for _, m := range failed {
		s.printf("%-22s %s\n", m.SummaryName(), s.loadError(m))
	}
	if s.symbols.noisy {
		s.printf("\n")
		return
	}
	s.printf("\nYou can troubleshoot most symbol related issues by turning on symbol loading diagnostics (!sym noisy)" +
		" and repeating the command that caused symbols to be loaded.\n" +
		"You should also verify that your symbol search path (.sympath) is correct.\n")
}

// loadError is the reason in the summary; in noisy mode with what the search
// found, as the debugger quotes its symbol server there.
func (s *Session) loadError(m *windows.Module) string {
	const text = "The system cannot find the file specified"
	if st := s.modules.state(m); s.symbols.noisy && st.err != nil {
		return fmt.Sprintf("%s\n\t\t\t\t%s", text, strings.ReplaceAll(visible(st.err.Error()), "; ", ";\n\t\t\t\t"))
	}
	return text
}
