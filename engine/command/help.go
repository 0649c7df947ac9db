package command

import (
	"context"
	"maps"
	"slices"
	"strings"

	"kdap/engine/wildcard"
)

func helpCommands() []*Command {
	return []*Command{
		{Names: []string{".help"}, Args: "[/D] [Word]", Short: "list the dot words, or tell about one command", Run: runHelp},
		{Names: []string{".hh"}, Args: "[Word]", Short: "tell about a command", Run: func(_ context.Context, s *Session, c *Call) error {
			s.printHelp(c.Word())
			return nil
		}},
		{Names: []string{"!help"}, Args: "[Word]", Short: "list the extension commands", Run: func(_ context.Context, s *Session, c *Call) error {
			if w := c.Word(); w != "" {
				s.printHelp(w)
				return nil
			}
			s.listCommands(func(name string) bool { return name[0] == '!' })
			return nil
		}},
		{Names: []string{".chain"}, Short: "show the groups of extension commands", Run: runChain},
		{Names: []string{".extmatch"}, Args: "[/D] [/e Group] Pattern", Short: "list extension commands by pattern", Run: runExtMatch},
		{Names: []string{".drivers"}, Short: "refused: lm t n shows the drivers", Run: func(_ context.Context, s *Session, _ *Call) error {
			s.printf("%s", driversText)
			return nil
		}},
		{Names: []string{".dml_start"}, Short: "begin browsing", Run: func(_ context.Context, s *Session, _ *Call) error {
			s.printf("Analyze last event\n\nBrowse process information\n\nBrowse core commands\n\nBrowse extension chain\n\nBrowse dot commands\n")
			return nil
		}},
	}
}

const driversText = `
  The !drivers command is no longer supported.

  Please use the 'lm t n' command.
  Consult the debugger documentation for the supported 'lm' command options.

  The WinDbg "Modules" window can also be used to display timestamps.
  The "Modules" window supports sorting on name or timestamp values

`

func runHelp(_ context.Context, s *Session, c *Call) error {
	letters, _ := c.Option()
	if w := c.Word(); w != "" {
		s.printHelp(w)
		return nil
	}
	if strings.EqualFold(letters, "D") {
		var row []string
		for l := 'A'; l <= 'Z'; l++ {
			row = append(row, string(l))
		}
		s.printf("%s All\n", strings.Join(row, " "))
	}
	s.printf(". commands:\n")
	s.listCommands(func(name string) bool { return name[0] == '.' })
	return nil
}

// names returns the commands by their names.
func (s *Session) names() map[string]*Command {
	all := map[string]*Command{}
	for _, c := range s.debuggee.vocabulary().commands() {
		for _, n := range c.Names {
			all[n] = c
		}
	}
	return all
}

// listCommands prints one row a command in order of names.
func (s *Session) listCommands(want func(name string) bool) {
	all := s.names()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if want(name) {
			s.printf("   %s", name)
			if all[name].Args != "" {
				s.printf(" %s", all[name].Args)
			}
			s.printf(" - %s\n", all[name].Short)
		}
	}
}

// printHelp prints what there is to say about a word; "" lists all commands.
func (s *Session) printHelp(word string) {
	if word == "" {
		s.listCommands(func(string) bool { return true })
		return
	}
	all := s.names()
	for _, name := range []string{word, strings.ToLower(word), "." + word, "!" + word} {
		if c, ok := all[name]; ok {
			if !s.printPage(c) {
				s.printf("%s %s\n    %s\n", name, c.Args, c.Short)
			}
			return
		}
	}
	switch c, name := s.debuggee.vocabulary().find(word); {
	case c != nil && c.Short == refusedShort && name == word:
		s.printf("%s is refused: %s\n", word, refusedBecause(word))
		return
	case c != nil && word[0] != '.' && word[0] != '!' && s.printPage(c): // kb is k with a letter
		return
	}
	s.printf("No help on '%s'\n", word)
	s.suggest(word)
}

// groups are the extension DLLs whose commands are built in, in the order of
// WinDbg's chain.
var groups = []string{"kdexts", "ext", "exts", "ntsdexts", "mex"}

func runChain(_ context.Context, s *Session, _ *Call) error {
	s.printf("Extension DLL chain:\n")
	for _, g := range groups {
		s.printf("    %s: built in\n", g)
	}
	return nil
}

// groupOf returns the group that an extension command belongs to.
func groupOf(name string) string {
	if dll, _, ok := strings.Cut(name[1:], "."); ok {
		return strings.ToLower(dll)
	}
	return groups[0]
}

func runExtMatch(_ context.Context, s *Session, c *Call) error {
	group := ""
	for {
		letters, ok := c.Option()
		if !ok {
			break
		}
		if letters == "e" {
			c.Args.SkipBlanks()
			group = strings.ToLower(strings.TrimSuffix(c.Word(), ".dll"))
		}
	}
	c.Args.SkipBlanks()
	pattern := wildcard.Compile(c.Word())
	for _, name := range slices.Sorted(maps.Keys(s.names())) {
		if name[0] != '!' || group != "" && group != groupOf(name) {
			continue
		}
		word := name[1:]
		if _, w, ok := strings.Cut(word, "."); ok {
			word = w
		}
		if pattern.Match(word) {
			s.printf("!%s.%s\n", groupOf(name), word)
		}
	}
	return nil
}

// suggest notes the known commands that look like a word.
func (s *Session) suggest(word string) {
	bare := strings.ToLower(strings.TrimLeft(word, ".!"))
	if bare == "" || len(bare) > 40 {
		return
	}
	type near struct {
		name     string
		distance int
	}
	var found []near
	for name := range s.names() {
		d := editDistance(bare, strings.ToLower(strings.TrimLeft(name, ".!")))
		if d <= min(2, len(bare)/3) {
			found = append(found, near{name, d})
		}
	}
	if len(found) == 0 {
		return
	}
	slices.SortFunc(found, func(a, b near) int {
		if a.distance != b.distance {
			return a.distance - b.distance
		}
		return strings.Compare(a.name, b.name)
	})
	var list []string
	for _, n := range found[:min(len(found), 4)] {
		list = append(list, n.name)
	}
	s.notef("%s is no command; near: %s", word, strings.Join(list, ", "))
}

// editDistance counts the letters to change, add or drop to make b of a.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
