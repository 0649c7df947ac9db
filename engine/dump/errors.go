package dump

import (
	"fmt"
	"strings"
)

// A Reason says why a file could not be opened as a kernel dump.
type Reason uint8

// The reasons. Those from Format32 to Archive name a format that is known but
// not read; the sentence of the Error says what to do about it.
const (
	NotFound     Reason = iota + 1 // there is no such file, or it may not be read
	Empty                          // 0 bytes
	TooShort                       // ends before its own header does
	NotADump                       // neither a dump nor anything else that is known
	Text                           // readable text
	BadType                        // PAGEDU64 with a DumpType that does not exist
	BadSignature                   // the record that DumpType asks for is not there
	BadMachine                     // a processor that Windows never ran on
	Format32                       // PAGEDUMP: a 32-bit kernel dump
	UserDump                       // MDMP: a user minidump, for OpenUser
	ELFCore
	LiME
	VMware
	Hibernation
	Cabinet
	Image     // a program, not a dump
	Archive   // damaged, empty, or compressed twice
	Unpacking // the cache could not be written, or the limit was reached
)

// An OpenError says what a file is, why it cannot be opened and what to do.
type OpenError struct {
	Path   string
	Reason Reason
	Msg    string // one sentence without the path
	Err    error  // what the system or a parser said, or nil
	tiny   bool   // at most four bytes, for which WinDbg has words of its own
}

func (e *OpenError) Error() string {
	return e.Path + ": " + e.Msg
}

func (e *OpenError) Unwrap() error { return e.Err }

// WinDbg returns the debugger's own lines for the refusal, without the line
// "Loading Dump File", and its HRESULT.
func (e *OpenError) WinDbg() (lines []string, hresult uint32) {
	reason, code, text := "Could not match Dump File signature - invalid file format", "Win32 error 0n87", "Invalid parameter."
	hresult = 0x80070057
	switch e.Reason {
	case NotFound:
		reason, code, text, hresult = "", "Win32 error 0n2", "File not found.", 0x80070002
	case Empty:
		reason, code, text, hresult = "", "NTSTATUS 0xC000011E", "<Unable to get error code text>", 0xd000011e
	case TooShort:
		if e.tiny {
			reason = "Dump file is too large to map"
		}
	case BadSignature:
		reason, code, text, hresult = "", "Win32 error 0n1392", "File or directory corrupt.", 0x80070570
	case BadMachine, Format32:
		return []string{"Unable to initialize target machine information, Win32 error 0n87"}, hresult
	case Cabinet, Archive:
		return []string{"Unable to extract dump file from CAB file"}, 0x80004005
	}
	if reason != "" {
		lines = append(lines, reason)
	}
	return append(lines, fmt.Sprintf("Could not open dump file [%s], %s", e.Path, code), fmt.Sprintf("    %q", text)), hresult
}

// A FormatError names the field of a record that cannot be used.
type FormatError struct {
	Record, Msg string
	Off         int64 // of the field, in the file
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s at offset %#x: %s", e.Record, e.Off, e.Msg)
}

// A WarningKind tells what is wrong with a dump that was opened nevertheless.
type WarningKind uint8

// The kinds of warning.
const (
	Truncated       WarningKind = iota + 1 // the file ends before its last page
	TooManyRuns                            // more physical runs than the header can hold
	BitCount                               // set bits and Pages disagree
	BitmapCut                              // the bitmap's bit count is more than its room
	RangesCut                              // the range count is more than its room
	TypeGuessed                            // DumpType was not filled in
	Processors                             // NumberProcessors is impossible
	NoDirectoryBase                        // DirectoryTableBase is 0
	SpaceExceeded                          // pages lie behind RequiredDumpSpace
	NoHeader                               // an image without a Windows header
	TriagePart                             // a part of a triage dump is missing or cut
)

// A Warning is something the reader should know about a dump.
type Warning struct {
	Kind WarningKind
	Msg  string   // one sentence
	Box  []string // the debugger's lines in a box of asterisks, or its plain line when Width is 0
	wide int
}

// Text returns the debugger's form of the warning: its lines between lines of
// asterisks, a plain line, or "" where it says nothing.
func (w Warning) Text() string {
	s := strings.Join(w.Box, "\n")
	if w.wide == 0 || s == "" {
		return s
	}
	stars := strings.Repeat("*", w.wide)
	return stars + "\n" + s + "\n" + stars
}

// warn notes a warning and what WinDbg prints for it: a box of that width.
func (f *File) warn(kind WarningKind, wide int, box []string, format string, args ...any) {
	f.warnings = append(f.warnings, Warning{kind, fmt.Sprintf(format, args...), box, wide})
}
