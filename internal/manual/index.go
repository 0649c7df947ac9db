package manual

import (
	"bufio"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"kdap/docs"
	"kdap/engine/command"
)

// notYet are the commands of WinDbg that kdap does not know: a line a subject,
// "subject: words". What has been built since is left out by itself.
//
//go:embed notyet.txt
var notYet string

// spellingList are the words that commands have besides their names.
//
//go:embed spellings.txt
var spellingList string

// spellings returns a command's further words.
func spellings(c *command.Command) []string {
	for line := range strings.Lines(spellingList) {
		if name, words, ok := strings.Cut(line, ": "); ok && name == c.Names[0] {
			return strings.Fields(words)
		}
	}
	return nil
}

// A subject is commands that are missing.
type subject struct {
	name  string
	words []string
}

// subjects returns the commands that are not built.
func subjects() []subject {
	var all []subject
	sc := bufio.NewScanner(strings.NewReader(notYet))
	for sc.Scan() {
		name, words, ok := strings.Cut(sc.Text(), ": ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		s := subject{name, slices.DeleteFunc(strings.Fields(words), isBuilt)}
		if len(s.words) > 0 {
			all = append(all, s)
		}
	}
	return all
}

// isBuilt tells whether a command has the very name, or has it behind that of
// the extension.
func isBuilt(word string) bool {
	if bare, ok := strings.CutPrefix(word, "!mex."); ok && isBuilt("!"+bare) {
		return true
	}
	return slices.ContainsFunc(command.All(), func(c *command.Command) bool { return slices.Contains(c.Names, word) })
}

// The sections of a page that the index looks at.
const (
	differences = "Differences from WinDbg"
	refusedHead = "refused"
)

const indexHead = `# The console's commands

<!-- Made by docs/gen: edit the pages, then run "go run ./docs/gen". -->

A page for every command, or for a few that belong together: what it is for, its syntax, an example, what differs from WinDbg.
The console shows a page with ` + "`.hh COMMAND`" + `. The examples run on the demo dump (` + "`kdap demo --write DIR`" + `); to repeat
one: ` + "`kdap run DIR/demo.dmp --symbols DIR/symbols -c COMMAND`" + `. "…" stands for lines of an output that are left out.

## Pages

| Page | Commands |
|---|---|
`

const stateHead = `
## Every WinDbg command and its state

* **done**: does what WinDbg's does, as far as a dump allows and its page tells.
* **different**: works; its page names what differs on purpose, for it or a command beside it.
* **refused**: makes no sense on a dump, or would touch the computer; the answer says why. See [refused](#refused).
* **not yet**: kdap does not know the word. See [not yet](#not-yet).

| Command | State | What it does |
|---|---|---|
`

func indexText(pages []docs.Page) string {
	var b strings.Builder
	b.WriteString(indexHead)
	slices.SortFunc(pages, func(a, b docs.Page) int { return strings.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title)) })
	for _, p := range pages {
		title, _, _ := strings.Cut(p.Title, ":")
		fmt.Fprintf(&b, "| [%s](%s) | %s |\n", title, p.File, codes(p.Words))
	}
	b.WriteString(stateHead)
	all := slices.Clone(command.All())
	slices.SortStableFunc(all, func(a, b *command.Command) int { return strings.Compare(sortKey(a.Names[0]), sortKey(b.Names[0])) })
	for _, c := range all {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", codes(slices.Concat(c.Names, spellings(c))), state(c, pages), cell(c.Short))
	}
	b.WriteString("\n### Refused\n\nThe commands below print the sentence, with the word for X. Where *WinDbg's words* stands, WinDbg refuses the word in a dump,\n" +
		"too: its answer is the output and the sentence is a note.\n\n| Commands | Sentence | |\n|---|---|---|\n")
	for _, r := range mergeRefused(command.Refused()) {
		own := ""
		if r.Own {
			own = "WinDbg's words"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", codes(r.Words), strings.ReplaceAll(cell(r.Sentence), "%s", "X"), own)
	}
	b.WriteString("\n### Not yet\n\nNo reason speaks against these; nobody has built them. `*` stands for all commands of an extension.\n\n| Subject | Commands |\n|---|---|\n")
	for _, s := range subjects() {
		fmt.Fprintf(&b, "| %s | %s |\n", s.name, codes(s.words))
	}
	return b.String()
}

// mergeRefused puts groups of one reason together.
func mergeRefused(groups []command.RefusedGroup) []command.RefusedGroup {
	var merged []command.RefusedGroup
	for _, g := range groups {
		i := slices.IndexFunc(merged, func(m command.RefusedGroup) bool { return m.Sentence == g.Sentence && m.Own == g.Own })
		if i < 0 {
			merged = append(merged, g)
			continue
		}
		merged[i].Words = append(merged[i].Words, g.Words...)
	}
	return merged
}

// state is a command's state with a link to its page.
func state(c *command.Command, pages []docs.Page) string {
	i := slices.IndexFunc(pages, func(p docs.Page) bool { return slices.Contains(p.Words, c.Names[0]) })
	if i < 0 {
		return "done (no page)"
	}
	word := "done"
	switch {
	case strings.HasPrefix(c.Short, refusedHead):
		word = "refused"
	case differs(pages[i]):
		word = "different"
	}
	return fmt.Sprintf("[%s](%s)", word, pages[i].File)
}

// differs tells whether a page knows a difference.
func differs(p docs.Page) bool {
	text := p.Section(differences)
	return text != "" && !strings.HasPrefix(text, "None")
}

// codes lists words as code. A bar needs an escape in a table even there.
func codes(words []string) string {
	var b []string
	for _, w := range words {
		b = append(b, "`"+cell(w)+"`")
	}
	return strings.Join(b, " ")
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// sortKey puts a name with its letters, whatever mark stands before.
func sortKey(name string) string {
	if bare := strings.TrimLeft(name, ".!"); bare != "" {
		return strings.ToLower(bare) + name
	}
	return name
}
