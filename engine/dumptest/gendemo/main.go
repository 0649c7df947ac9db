// Command gendemo makes the files of engine/dumptest/demo. With a folder as
// argument it writes there instead, unpacked and in every format, with what
// they hold as truth.json.
//
//go:generate go run .
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"kdap/engine/dumptest"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gendemo:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 1 {
		return writeAll(args[0])
	}
	dir, err := demoDir()
	if err != nil {
		return err
	}
	dump, symbols, err := dumptest.DemoFiles()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "demo.dmp.zst"), dump, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "symbols.zip"), symbols, 0o644)
}

// demoDir finds the package from the folder of the tree that this runs in.
func demoDir() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := wd; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return filepath.Join(d, "engine", "dumptest", "demo"), nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("%s is in no module", wd)
		}
	}
}

func writeAll(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	d := dumptest.Demo()
	for _, f := range dumptest.Formats {
		if err := d.WriteFile(filepath.Join(dir, fmt.Sprintf("demo_t%d.dmp", f)), f); err != nil {
			return err
		}
	}
	if err := dumptest.WriteSymbols(filepath.Join(dir, "symbols"), dumptest.PDBs|dumptest.ISF|dumptest.Images); err != nil {
		return err
	}
	b, err := json.MarshalIndent(d.Truth(), "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "truth.json"), b, 0o644)
}
