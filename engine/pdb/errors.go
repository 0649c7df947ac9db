package pdb

import "fmt"

// A FormatError says which record of the file is wrong, and where.
type FormatError struct {
	Record string // "TPI stream", "LF_STRUCTURE 0x1003"
	Off    int64  // of the field, in the stream or record named
	Msg    string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s at offset %#x: %s", e.Record, e.Off, e.Msg)
}

// An UnsupportedError is the answer to a file that is a PDB, but of a sort
// that this package does not read. Nothing is wrong with the file.
type UnsupportedError struct {
	What string // "portable PDB", "/DEBUG:FASTLINK PDB", "PDB 2.00"
	Hint string // what a user can do
}

func (e *UnsupportedError) Error() string { return e.What + ": " + e.Hint }

// ErrClosed is the error of a File that was closed.
var ErrClosed error = &closedError{}

type closedError struct{}

func (*closedError) Error() string { return "PDB file is closed" }
