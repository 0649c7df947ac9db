// Package errortext has the texts of Windows' error numbers: Win32 errors,
// NTSTATUS values and the HRESULTs that hold one of these.
//
// Windows keeps the texts in message tables of its DLLs, which dumps seldom
// hold. The tables here have the errors that programs meet; texts follow
// Microsoft's documentation of system error codes and of NTSTATUS values
// ([MS-ERREF] 2.2 and 2.3). Inserts such as %hs stand as they are.
package errortext

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

//go:embed win32.txt
var win32Lines string

//go:embed ntstatus.txt
var statusLines string

var (
	win32Texts  = sync.OnceValue(func() map[uint32]string { return parse(win32Lines, 10) })
	statusTexts = sync.OnceValue(func() map[uint32]string { return parse(statusLines, 16) })
)

// parse reads lines of a number and its text.
func parse(lines string, base int) map[uint32]string {
	texts := map[uint32]string{}
	for line := range strings.Lines(lines) {
		number, text, ok := strings.Cut(strings.TrimRight(line, "\n"), " ")
		code, err := strconv.ParseUint(number, base, 32)
		if ok && err == nil {
			texts[uint32(code)] = text
		}
	}
	return texts
}

// A Kind is a family of error numbers.
type Kind string

// The kinds, as debuggers name them.
const (
	Win32    Kind = "Win32"
	NTStatus Kind = "NTSTATUS"
	HResult  Kind = "HRESULT"
)

// Parts of an HRESULT (winerror.h).
const (
	hresultFailure = 0x80000000
	hresultNT      = 0x10000000 // FACILITY_NT_BIT: an NTSTATUS is in the rest
	facilityWin32  = 7
)

// KindOf guesses the family of a number by its bits: NTSTATUS values have a
// severity on top, failed HRESULTs the highest bit alone.
func KindOf(code uint32) Kind {
	if code < hresultFailure {
		return Win32
	}
	if _, known := statusTexts()[code]; known || code>>30 == 3 {
		return NTStatus
	}
	if _, known := comTexts[code]; known || code>>28 == 8 && code>>16&0x1fff != 0 {
		return HResult
	}
	return NTStatus
}

// Text returns the text of a number; false when it is not in the tables.
func Text(k Kind, code uint32) (string, bool) {
	switch k {
	case NTStatus:
		text, ok := statusTexts()[code]
		return text, ok
	case HResult:
		return hresultText(code)
	}
	text, ok := win32Texts()[code]
	return text, ok
}

// hresultText is the text of the error that an HRESULT wraps, or one of COM's own.
func hresultText(code uint32) (string, bool) {
	if code&hresultNT != 0 && code&hresultFailure != 0 {
		return Text(NTStatus, code&^hresultNT)
	}
	if code&hresultFailure != 0 && code>>16&0x1fff == facilityWin32 {
		return Text(Win32, code&0xffff)
	}
	if code == 0 {
		return Text(Win32, 0)
	}
	text, ok := comTexts[code]
	return text, ok
}

// comTexts are the HRESULTs of winerror.h that wrap no other error.
var comTexts = map[uint32]string{
	0x80004001: "Not implemented",
	0x80004002: "No such interface supported",
	0x80004003: "Invalid pointer",
	0x80004004: "Operation aborted",
	0x80004005: "Unspecified error",
	0x8000ffff: "Catastrophic failure",
	0x8000000a: "The data necessary to complete this operation is not yet available.",
	0x80010105: "The server threw an exception.",
	0x80010106: "Cannot change thread mode after it is set.",
	0x80010108: "The object invoked has disconnected from its clients.",
	0x8001010e: "The application called an interface that was marshalled for a different thread.",
	0x80020003: "Member not found.",
	0x80020005: "Type mismatch.",
	0x80020006: "Unknown name.",
	0x80020009: "Exception occurred.",
	0x80040110: "Class does not support aggregation (or class object is remote)",
	0x80040111: "ClassFactory cannot supply requested class",
	0x80040154: "Class not registered",
	0x800401e3: "Operation unavailable",
	0x800401f0: "CoInitialize has not been called.",
	0x800401f3: "Invalid class string",
	0x80080005: "Server execution failed",
}
