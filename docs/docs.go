// Package docs holds the manual of the console's commands, so that .hh and
// .help show it. A page is a file in the folder commands: its first line is
// the title and names, in backquotes, the commands it is about.
package docs

import (
	"embed"
	"io/fs"
	"regexp"
	"strings"
	"sync"
)

//go:embed commands/*.md
var commands embed.FS

// Index is the file that lists the pages.
const Index = "README.md"

// A Page is one page of the manual.
type Page struct {
	File  string   // its name in the folder commands
	Title string   // without the mark of a heading and without backquotes
	Words []string // the commands it is about
	Text  string   // Markdown
}

// Pages returns the pages in order of their files' names.
func Pages() []Page { return pages() }

var pages = sync.OnceValue(func() []Page {
	var all []Page
	files, err := fs.Glob(commands, "commands/*.md")
	if err != nil {
		panic(err) // the pattern is good
	}
	for _, f := range files {
		b, err := commands.ReadFile(f)
		if err != nil {
			panic(err) // it was listed
		}
		if name := strings.TrimPrefix(f, "commands/"); name != Index {
			all = append(all, Parse(name, string(b)))
		}
	}
	return all
})

var quoted = regexp.MustCompile("`([^`]+)`")

// Parse reads a page.
func Parse(file, text string) Page {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	title, _, _ := strings.Cut(text, "\n")
	p := Page{File: file, Title: strings.ReplaceAll(strings.TrimPrefix(title, "# "), "`", ""), Text: text}
	for _, m := range quoted.FindAllStringSubmatch(title, -1) {
		p.Words = append(p.Words, m[1])
	}
	return p
}

// PageOf returns the page about a command.
func PageOf(word string) (Page, bool) {
	for _, p := range Pages() {
		for _, w := range p.Words {
			if w == word {
				return p, true
			}
		}
	}
	return Page{}, false
}

var link = regexp.MustCompile(`\[([^\]]+)\]\([^)]+\)`)

// Plain returns the page as a console shows it: without the marks of fences,
// comments and links.
func (p Page) Plain() string {
	var b strings.Builder
	for line := range strings.Lines(p.Text) {
		switch {
		case strings.HasPrefix(line, "```"), strings.HasPrefix(line, "<!--"):
			continue
		case strings.HasPrefix(line, "#"):
			line = strings.TrimLeft(line, "# ")
		}
		b.WriteString(link.ReplaceAllString(line, "$1"))
	}
	return b.String()
}

// Section returns what stands below a heading of the second level, "" if the
// page has none of that name.
func (p Page) Section(name string) string {
	_, rest, ok := strings.Cut(p.Text, "\n## "+name+"\n")
	if !ok {
		return ""
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return strings.TrimSpace(text)
}
