package windows

import (
	"errors"
	"fmt"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// Title returns what people call the object: a file's name, a key's path,
// "notepad.exe(1b70)" for a process, "1b70.1b74" for a thread (its client id),
// else the name it has in its directory; "" for an object without one.
func (o KernelObject) Title() (string, error) {
	t, err := o.TypeName()
	if err != nil {
		return "", err
	}
	switch t {
	case "File":
		return o.sys.FileObject(o.body).Name()
	case "Key":
		return o.sys.keyBodyPath(o.body)
	case "Process":
		return o.sys.processTitle(o.body)
	case "Thread":
		return o.sys.threadTitle(o.body)
	case "Driver":
		return o.sys.Driver(o.body).Name()
	}
	return o.Name()
}

func (s *System) processTitle(addr uint64) (string, error) {
	p := s.Process(addr)
	name, err := p.ImageName()
	pid, perr := p.PID()
	if err := errors.Join(err, perr); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s(%x)", name, pid), nil
}

func (s *System) threadTitle(addr uint64) (string, error) {
	t := s.Thread(addr)
	pid, err := t.PID()
	tid, terr := t.TID()
	if err := errors.Join(err, terr); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x.%x", pid, tid), nil
}

func (s *System) keyBodyPath(addr uint64) (string, error) {
	kcb, err := s.Struct("_CM_KEY_BODY", addr).Field("KeyControlBlock").Uint()
	if err != nil {
		return "", err
	}
	return s.KeyControlBlockPath(kcb)
}

// maxKeyDepth is the registry's own limit of levels.
const maxKeyDepth = 512

// keyHiveEntry marks the root key of a hive. Its parent, the key of another
// hive that leads to it, has the name that paths show.
const keyHiveEntry = 4

// KeyControlBlockPath returns the path of the _CM_KEY_CONTROL_BLOCK at addr,
// from the names of it and its parents.
func (s *System) KeyControlBlockPath(addr uint64) (string, error) {
	path, depth := "", 0
	for at := addr; ; {
		kcb := s.Struct("_CM_KEY_CONTROL_BLOCK", at)
		parent, err := kcb.Field("ParentKcb").Uint()
		flags, ferr := kcb.Field("Flags").Uint()
		var missing *types.NoFieldError
		if errors.As(ferr, &missing) {
			ferr = nil // a kernel whose symbols do not have it
		}
		if err := errors.Join(err, ferr); err != nil {
			return path, fmt.Errorf("key control block %#x: %w", at, err)
		}
		if flags&keyHiveEntry == 0 || parent == 0 {
			name, err := s.nameBlock(kcb.Field("NameBlock").Deref())
			if err != nil {
				return path, fmt.Errorf("key control block %#x: %w", at, err)
			}
			path = `\` + name + path
		}
		if at = parent; at == 0 {
			return path, nil
		}
		if depth++; depth > maxKeyDepth {
			return path, fmt.Errorf("key control block %#x: more than %d parents", addr, maxKeyDepth)
		}
	}
}

// nameBlock reads a _CM_NAME_CONTROL_BLOCK: UTF-16, or one byte a character
// where that is enough.
func (s *System) nameBlock(o types.Object) (string, error) {
	compressed, err := o.Field("Compressed").Uint()
	n, nerr := o.Field("NameLength").Uint()
	name := o.Field("Name")
	if err := errors.Join(err, nerr, name.Err()); err != nil {
		return "", err
	}
	b, err := memory.ReadBytes(s.Kernel(), name.Addr(), int(n&0xffff))
	if err != nil {
		return "", err
	}
	if compressed == 0 {
		return types.UTF16(b), nil
	}
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes), nil
}
