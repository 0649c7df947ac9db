// Command gentypes prints the made-up kernel's types as C++, the input of the
// compiler that makes the test kernel's PDB (testdata/build.sh).
package main

import (
	"fmt"

	"kdap/engine/dumptest"
)

func main() { fmt.Print(dumptest.CxxTypes()) }
