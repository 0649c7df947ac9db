package windows

import (
	"errors"
	"fmt"
	"iter"
	"strings"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// A PEB is a view over a process environment block. It lives in its process's
// address space, in pages that may be out.
type PEB struct {
	proc Process
	obj  types.Object
}

// ErrNoPEB is what processes without a user part give.
var ErrNoPEB = errors.New("the process has no PEB")

// Environment returns the process's PEB.
func (p Process) Environment() (PEB, error) {
	addr, err := p.PEB()
	if err != nil {
		return PEB{}, err
	}
	if addr == 0 {
		return PEB{}, ErrNoPEB
	}
	return p.EnvironmentAt(addr)
}

// EnvironmentAt returns the view over a PEB at addr in the process's space.
func (p Process) EnvironmentAt(addr uint64) (PEB, error) {
	t, err := p.sys.Type("_PEB")
	if err != nil {
		return PEB{}, err
	}
	space, err := p.Space()
	if err != nil {
		return PEB{}, err
	}
	return PEB{proc: p, obj: types.NewObject(space, t, addr)}, nil
}

// Object returns the _PEB itself.
func (b PEB) Object() types.Object { return b.obj }

// Parameters returns the _RTL_USER_PROCESS_PARAMETERS.
func (b PEB) Parameters() types.Object { return b.obj.Field("ProcessParameters").Deref() }

// ImagePath returns the image's path as the process was started with it.
func (b PEB) ImagePath() (string, error) {
	return b.Parameters().Field("ImagePathName").UnicodeString()
}

// CommandLine returns the command line.
func (b PEB) CommandLine() (string, error) {
	return b.Parameters().Field("CommandLine").UnicodeString()
}

// CurrentDirectory returns the working directory.
func (b PEB) CurrentDirectory() (string, error) {
	return b.Parameters().Field("CurrentDirectory.DosPath").UnicodeString()
}

// A Variable is one variable of an environment.
type Variable struct{ Name, Value string }

// maxEnvironment bounds an environment block, whose size the process itself
// may overwrite. Windows allows 32,767 characters a variable and no documented
// number of them.
const maxEnvironment = 4 << 20

// Variables yields the variables in the order of the block. A block cut by an
// unreadable page yields the whole variables before it, then the error.
func (b PEB) Variables() iter.Seq2[Variable, error] {
	return func(yield func(Variable, error) bool) {
		for s, err := range b.EnvironmentStrings() {
			if err != nil {
				yield(Variable{}, err)
				return
			}
			if !yield(splitVariable(s), nil) {
				return
			}
		}
	}
}

// splitVariable divides at the first equal sign that is not the first
// character: names such as "=C:" begin with one.
func splitVariable(s string) Variable {
	if i := strings.IndexByte(s[min(1, len(s)):], '='); i >= 0 {
		return Variable{Name: s[:i+1], Value: s[i+2:]}
	}
	return Variable{Name: s}
}

// EnvironmentStrings yields the strings of the environment block as they stand.
func (b PEB) EnvironmentStrings() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		params := b.Parameters()
		addr, err := params.Field("Environment").Uint()
		if err != nil || addr == 0 {
			if err != nil {
				yield("", fmt.Errorf("environment: %w", err))
			}
			return
		}
		size := uint64(maxEnvironment)
		if s, err := params.Field("EnvironmentSize").Uint(); err == nil && s != 0 {
			size = min(s, maxEnvironment)
		}
		readStrings(b.obj.Space(), addr, size, yield)
	}
}

// readStrings yields UTF-16 strings, each ended by a NUL, the list by an empty one.
func readStrings(space memory.Space, addr, size uint64, yield func(string, error) bool) {
	var pending []byte
	page := make([]byte, memory.PageSize)
	for end := addr + size; addr < end; {
		n := min(end-addr, memory.PageSize-addr%memory.PageSize)
		got, err := space.Read(addr, page[:n])
		pending = append(pending, page[:got]...)
		for {
			i := nul16(pending)
			if i < 0 {
				break
			}
			if i == 0 {
				return
			}
			if !yield(types.UTF16(pending[:i]), nil) {
				return
			}
			pending = pending[i+2:]
		}
		if err != nil {
			yield("", fmt.Errorf("environment: %w", err))
			return
		}
		addr += n
	}
}

// nul16 returns the byte offset of the first UTF-16 NUL, -1 without one.
func nul16(b []byte) int {
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			return i
		}
	}
	return -1
}

// TEB returns the thread's _TEB in its owner's address space; an error for
// threads without one.
func (t Thread) Block() (types.Object, error) {
	addr, err := t.TEB()
	if err != nil {
		return types.Object{}, err
	}
	if addr == 0 {
		return types.Object{}, errors.New("the thread has no TEB")
	}
	p, err := t.Process()
	if err != nil {
		return types.Object{}, err
	}
	return p.UserStruct("_TEB", addr)
}

// UserStruct returns an object of a kernel-described type in the process's space.
func (p Process) UserStruct(name string, addr uint64) (types.Object, error) {
	typ, err := p.sys.Type(name)
	if err != nil {
		return types.Object{}, err
	}
	space, err := p.Space()
	if err != nil {
		return types.Object{}, err
	}
	return types.NewObject(space, typ, addr), nil
}
