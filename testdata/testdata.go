// Package testdata holds small images and PDBs for tests and for the demo
// dump. They are compiled from src by build.sh and committed.
package testdata

import "embed"

// Images holds the folder images: PE files, their PDBs, and for each PDB a
// list of its public symbols as an LLVM tool printed them (.publics).
//
//go:embed images
var Images embed.FS
