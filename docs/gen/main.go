// Command gen brings the manual's generated parts up to date: the syntax and
// the examples on the pages of docs/commands, its index, the examples of
// docs/leak.md, and the fields in docs/list.md.
//
//	go run ./docs/gen [page.md ...]
package main

import (
	"context"
	"fmt"
	"os"

	"kdap/internal/manual"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, pages []string) error {
	files, err := manual.Generate(ctx, "docs/commands", pages)
	if err != nil {
		return err
	}
	page, err := manual.ListFile("docs/list.md", "engine/list")
	if err != nil {
		return err
	}
	for _, f := range append(files, page) {
		if f.Old == f.New {
			continue
		}
		if err := os.WriteFile(f.Path, []byte(f.New), 0o644); err != nil {
			return err
		}
		fmt.Println(f.Path)
	}
	return nil
}
