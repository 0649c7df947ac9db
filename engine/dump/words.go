package dump

import "fmt"

// A Type is the DumpType of a header.
type Type uint32

// The dump types that exist in files.
const (
	Full         Type = 1   // pages of all runs
	Summary      Type = 2   // kernel pages, by a bitmap of the old form
	Triage       Type = 4   // blocks of virtual memory, no pages
	BitmapFull   Type = 5   // active memory
	BitmapKernel Type = 6   // kernel pages
	RangeKernel  Type = 8   // .dump /k
	RangeActive  Type = 9   // .dump /ka
	RangeFull    Type = 0xa // .dump /f
)

type words struct{ loading, short, analysis string }

// typeWords are the debugger's words for a type.
var typeWords = map[Type]words{
	Full: {
		"Kernel Complete Dump File: Full address space is available",
		"64-bit Full kernel dump", "Kernel Full Dump Analysis",
	},
	Summary: {
		"Kernel Summary Dump File: Kernel address space is available, User address space may not be available.",
		"64-bit Kernel summary dump", "Kernel Summary Dump Analysis",
	},
	Triage: {
		"Mini Kernel Dump File: Only registers and stack trace are available",
		"64-bit Kernel triage dump", "Kernel Mini Dump Analysis",
	},
	BitmapFull: {
		"Kernel Bitmap Dump File: Active memory is available",
		"64-bit Kernel bitmap dump", "Kernel Bitmap Dump Analysis - full address space is available",
	},
	BitmapKernel: {
		"Kernel Bitmap Dump File: Kernel address space is available, User address space may not be available.",
		"64-bit Kernel bitmap dump",
		"Kernel Bitmap Dump Analysis - Kernel address space is available,\n      User address space may not be available.",
	},
	RangeKernel: {
		"Kernel Range Dump File: Kernel memory pages are available",
		"64-bit Kernel range dump", "Range Dump Analysis",
	},
	RangeActive: {
		"Kernel Range Dump File: Active memory pages (user + kernel) are available",
		"64-bit Kernel range dump", "Range Dump Analysis",
	},
	RangeFull: {
		"Kernel Complete Dump File: Full address space is available",
		"64-bit Kernel range dump", "Range Dump Analysis",
	},
	// WinDbg does not open these: the words are ours.
	ELFCoreImage: {"ELF core of a virtual machine: Full address space is available", "64-bit ELF core", "ELF Core Analysis"},
	RawImage:     {"Raw memory image: Full address space is available", "64-bit raw memory image", "Raw Image Analysis"},
}

// LoadingLine is the line under "Loading Dump File".
func (t Type) LoadingLine() string { return typeWords[t].loading }

// StatusText is the description in the answer to "||".
func (t Type) StatusText() string { return typeWords[t].short }

// AnalysisTitle follows "----- 64 bit " in the answer to .dumpdebug. That of
// BitmapKernel has two lines.
func (t Type) AnalysisTitle() string { return typeWords[t].analysis }

func (t Type) String() string {
	switch t {
	case Full:
		return "full"
	case Summary:
		return "kernel summary"
	case Triage:
		return "triage"
	case BitmapFull:
		return "active memory (bitmap)"
	case BitmapKernel:
		return "kernel (bitmap)"
	case RangeKernel:
		return "kernel (range)"
	case RangeActive:
		return "active memory (range)"
	case RangeFull:
		return "full (range)"
	}
	if w, ok := typeWords[t]; ok {
		return w.short
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Known tells whether the type exists in files.
func (t Type) Known() bool { _, ok := typeWords[t]; return ok && t <= RangeFull }
