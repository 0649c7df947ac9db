// Package manual makes the generated parts of docs/commands: the syntax of
// each page's commands from the console's table, the output of its examples
// from the demo dump, and the index with the state of WinDbg's commands. It also
// makes the output in the story docs/leak.md, and the tables of docs/list.md
// from the types of the values.
//
// What a person writes is never touched. A page's syntax stands between two
// comments; an example is a fenced block whose first line begins with "kd> ".
package manual

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kdap/docs"
	"kdap/engine/command"
)

// A File is one file of the manual as it is and as it should be.
type File struct {
	Path, Old, New string

	Failed []string // its examples that failed
}

// Generate makes the pages in a folder anew, or only those named, the index,
// and the story beside the folder. It writes nothing.
func Generate(ctx context.Context, dir string, only []string) ([]File, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return nil, err
	}
	console, err := newConsole(ctx, filepath.Join(dir, "..", "..", "testdata", "src"))
	if err != nil {
		return nil, err
	}
	defer console.close()

	var files []File
	var pages []docs.Page
	index := File{Path: filepath.Join(dir, docs.Index)}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name, text := filepath.Base(path), strings.ReplaceAll(string(b), "\r\n", "\n")
		if name == docs.Index {
			index.Old = text
			continue
		}
		f := File{Path: path, Old: text, New: text}
		if len(only) == 0 || slices.Contains(only, name) {
			if f.New, f.Failed, err = console.page(ctx, docs.Parse(name, text)); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		files = append(files, f)
		pages = append(pages, docs.Parse(name, f.New))
	}
	index.New = indexText(pages)
	files = append(files, index)
	if len(only) == 0 || slices.Contains(only, story) {
		f, err := console.story(ctx, filepath.Join(dir, "..", story))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", story, err)
		}
		files = append(files, f)
	}
	return files, nil
}

// story is the page beside the folder of commands that follows the demo dump
// from its opening to what was wrong.
const story = "leak.md"

func (c *console) story(ctx context.Context, path string) (File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return File{}, err
	}
	f := File{Path: path, Old: strings.ReplaceAll(string(b), "\r\n", "\n")}
	f.New, f.Failed, err = c.examples(ctx, f.Old)
	return f, err
}

// Missing returns the commands that no page is about.
func Missing(pages []docs.Page) []string {
	has := map[string]bool{}
	for _, p := range pages {
		for _, w := range p.Words {
			has[w] = true
		}
	}
	var missing []string
	for _, c := range command.All() {
		if !has[c.Names[0]] {
			missing = append(missing, c.Names[0])
		}
	}
	return missing
}

// The comments around the syntax.
const (
	syntaxBegin = "<!-- syntax: made by docs/gen -->\n"
	syntaxEnd   = "<!-- end -->\n"
)

func (c *console) page(ctx context.Context, p docs.Page) (text string, failed []string, err error) {
	syntax, err := syntaxText(p)
	if err != nil {
		return "", nil, err
	}
	before, rest, ok := strings.Cut(p.Text, syntaxBegin)
	_, after, ok2 := strings.Cut(rest, syntaxEnd)
	if !ok || !ok2 {
		return "", nil, errors.New("no place for the syntax: the page lacks " + strings.TrimSpace(syntaxBegin) + " or " + strings.TrimSpace(syntaxEnd))
	}
	return c.examples(ctx, before+syntaxBegin+syntax+syntaxEnd+after)
}

// syntaxText is the syntax of the commands of a page in the order of the title.
func syntaxText(p docs.Page) (string, error) {
	var b strings.Builder
	b.WriteString("```text\n")
	done := map[*command.Command]bool{}
	for _, w := range p.Words {
		i := slices.IndexFunc(command.All(), func(c *command.Command) bool { return slices.Contains(c.Names, w) })
		if i < 0 {
			return "", fmt.Errorf("the title names %s, which is no command", w)
		}
		c := command.All()[i]
		if done[c] {
			continue
		}
		done[c] = true
		fmt.Fprintf(&b, "%s\n    %s\n", strings.TrimSpace(strings.Join(c.Names, ", ")+"  "+c.Args), c.Short)
	}
	b.WriteString("```\n")
	return b.String(), nil
}
