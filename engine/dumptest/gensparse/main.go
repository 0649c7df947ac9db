// Command gensparse writes a sparse 16 GB dump of a large machine and its
// symbols into a folder, for measurements.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"kdap/engine/dumptest"
)

// The machine of the measurements.
const (
	processes = 300
	threads   = 3000
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gensparse FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	d := dumptest.Sparse(processes, threads)
	if err := d.WriteFile(filepath.Join(dir, "sparse.dmp"), dumptest.Full); err != nil {
		return err
	}
	return d.WriteSymbols(filepath.Join(dir, "symbols"), dumptest.PDBs|dumptest.Images)
}
