// Package arch says what the machines of Windows dumps have in common; each has
// a package of its own below.
package arch

// Registers are those of one processor, as a dump or a stack walk has them: an
// *amd64.Context, *x86.Context or *arm64.Context.
type Registers interface {
	// ProgramCounter is the address of the instruction that comes next.
	ProgramCounter() uint64
	// StackPointer is where the stack ends.
	StackPointer() uint64
	// Get returns a register by the debugger's name, in lower case, with its
	// width in bits.
	Get(name string) (v uint64, bits int, ok bool)
	// Set changes a register that Get knows; false for others.
	Set(name string, v uint64) bool
	// At returns a copy that stands elsewhere.
	At(pc, sp uint64) Registers
}
