// Package amd64 knows the x64 processor as Windows uses it: page tables, register
// contexts, the frames that the kernel keeps registers in, and unwinding of stacks
// by the unwind data of images.
//
// Sources: Intel's and AMD's manuals for paging; winnt.h for CONTEXT; the kernel's
// public types for everything that has one (page table entries, _KTRAP_FRAME,
// _KSPECIAL_REGISTERS), with defaults for dumps without symbols; Microsoft's "x64
// exception handling" for UNWIND_INFO. Version 2 of UNWIND_INFO (epilog codes) is
// not documented there: it follows what compilers write and other readers show.
//
// Paging, FunctionTable and the layouts are safe for concurrent use. Nothing here
// panics on what a dump says, and every walk is bounded.
package amd64
