// Command gensparse writes sparse 16 GB dumps of large machines and their
// symbols into a folder, for measurements: one with many processes and little
// else, and with -busy one that has much of everything.
package main

import (
	"flag"
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
	busy := flag.Bool("busy", false, "write busy.dmp instead of sparse.dmp")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: gensparse [-busy] FOLDER")
		os.Exit(2)
	}
	if err := write(flag.Arg(0), *busy); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(dir string, busy bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name, d := "sparse.dmp", (*dumptest.Dump)(nil)
	if busy {
		name, d = "busy.dmp", dumptest.Busy(dumptest.HeavyLoad())
	} else {
		d = dumptest.Sparse(processes, threads)
	}
	if err := d.WriteFile(filepath.Join(dir, name), dumptest.Full); err != nil {
		return err
	}
	return d.WriteSymbols(filepath.Join(dir, "symbols"), dumptest.PDBs|dumptest.Images)
}
