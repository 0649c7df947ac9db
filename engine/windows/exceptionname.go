package windows

// exceptionNames are the debugger's names of exception codes.
//
// Source: the exceptions that WinDbg's documentation of "Controlling Exceptions
// and Events" lists with these names, and the codes that ntstatus.h gives them.
var exceptionNames = map[uint32]string{
	0x40010005: "Control-C exception",
	0x40010008: "Control-Break exception",
	0x4000001e: "WOW64 single step exception",
	0x4000001f: "WOW64 breakpoint",
	0x40080201: "Windows Runtime Originate Error",
	0x40080202: "Windows Runtime Transform Error",
	0x80000001: "Guard page violation",
	0x80000002: "Data misaligned",
	0x80000003: "Break instruction exception",
	0x80000004: "Single step exception",
	0x80000007: "Wake debugger",
	0xc0000005: "Access violation",
	0xc0000006: "In-page I/O error",
	0xc0000008: "Invalid handle",
	0xc000001c: "Invalid system call",
	0xc000001d: "Illegal instruction",
	0xc000001e: "Invalid lock sequence",
	0xc0000025: "Noncontinuable exception",
	0xc0000026: "Invalid disposition",
	0xc0000037: "Port disconnected",
	0xc000008c: "Array bounds exceeded",
	0xc000008d: "Floating-point denormal operand",
	0xc000008e: "Floating-point divide by zero",
	0xc000008f: "Floating-point inexact result",
	0xc0000090: "Floating-point invalid operation",
	0xc0000091: "Floating-point overflow",
	0xc0000092: "Floating-point stack check",
	0xc0000093: "Floating-point underflow",
	0xc0000094: "Integer divide-by-zero",
	0xc0000095: "Integer overflow",
	0xc0000096: "Privileged instruction",
	0xc00000fd: "Stack overflow",
	0xc0000194: "Possible deadlock",
	0xc00002b4: "Multiple floating-point faults",
	0xc00002b5: "Multiple floating-point traps",
	0xc0000409: "Security check failure or stack buffer overrun",
	0xc0000420: "Assertion failure",
	0xcfffffff: "Application hang",
	0xe0434352: "CLR exception",
	0xe0434f4d: "CLR exception",
	0xe06d7363: "C++ EH exception",
}

// ExceptionName returns the debugger's name of an exception code, false when it
// has none.
func ExceptionName(code uint32) (string, bool) {
	name, ok := exceptionNames[code]
	return name, ok
}
