package expr

import "kdap/engine/types"

// Builtin returns a type that the debugger knows without symbols: "int",
// "unsigned long".
func Builtin(name string) (*types.Type, bool) {
	t, ok := builtinTypes[name]
	return t, ok
}

// MissingTypeBox is what is printed about a name that is not known, in front of
// the error. off says that names without a module are looked up in loaded
// symbols only (symbol option 0x100).
func MissingTypeBox(name string, off bool) string { return missingTypeBox(name, off) }
