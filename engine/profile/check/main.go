// Command check compares the built-in profiles with a kernel's symbol file.
//
//	go run ./engine/profile/check --isf FILE | --pdb FILE [--family ID] [--column]
//
// It prints every row of the table that the file contradicts, and what the file
// has beyond the table. Without --family the family is taken that agrees best.
// With --column it prints the file's own column, which is how a family is added
// to facts.txt. Exit status 1: the file contradicts the table.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"kdap/engine/isf"
	"kdap/engine/pdb"
	"kdap/engine/profile"
	"kdap/engine/types"
)

func main() {
	agrees, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(2)
	}
	if !agrees {
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) (agrees bool, err error) {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	isfFile := flags.String("isf", "", "an ISF table (.json, .json.xz)")
	pdbFile := flags.String("pdb", "", "a PDB")
	id := flags.String("family", "", "the family to compare with: a first build, as facts.txt names it")
	column := flags.Bool("column", false, "print the file's column instead")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	src, done, err := open(*isfFile, *pdbFile)
	if err != nil {
		return false, err
	}
	defer done()
	if *column {
		for _, line := range profile.Column(src) {
			fmt.Fprintln(out, line)
		}
		return true, nil
	}
	p, err := choose(src, *id)
	if err != nil {
		return false, err
	}
	wrong, untold, rows := p.Compare(src)
	for _, d := range wrong {
		fmt.Fprintln(out, "wrong ", d)
	}
	for _, d := range untold {
		fmt.Fprintln(out, "untold", d)
	}
	fmt.Fprintf(out, "%v, column %s: %d rows compared, %d wrong, %d not told\n", p, p.Family().ID, rows, len(wrong), len(untold))
	return len(wrong) == 0, nil
}

func open(isfFile, pdbFile string) (types.Source, func(), error) {
	switch {
	case isfFile != "" && pdbFile == "":
		cache, err := os.MkdirTemp("", "profile-check")
		if err != nil {
			return nil, nil, err
		}
		f, err := isf.Open(isfFile, cache)
		if err != nil {
			os.RemoveAll(cache)
			return nil, nil, err
		}
		return f, func() { os.RemoveAll(cache) }, nil
	case pdbFile != "" && isfFile == "":
		f, err := pdb.Open(pdbFile)
		if err != nil {
			return nil, nil, err
		}
		return f, func() { _ = f.Close() }, nil
	}
	return nil, nil, errors.New("give one file: --isf FILE or --pdb FILE")
}

// choose returns the profile to compare with: the named one, else the one that
// the file contradicts least.
func choose(src types.Source, id string) (*profile.Profile, error) {
	var best *profile.Profile
	least := 0
	for _, f := range profile.Families() {
		p := f.Profile()
		if id != "" {
			if f.ID == id {
				return p, nil
			}
			continue
		}
		if wrong, _, _ := p.Compare(src); best == nil || len(wrong) < least {
			best, least = p, len(wrong)
		}
	}
	if best == nil {
		return nil, fmt.Errorf("there is no family %q", id)
	}
	return best, nil
}
