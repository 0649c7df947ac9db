package windows

import (
	"context"
	"fmt"
	"iter"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// ldrOffsets is the layout of a loader's list entry: the parts that debuggers
// need, which kept their places from Windows 2000 on.
type ldrOffsets struct {
	ptr                                                        uint64 // pointer size
	links, base, entryPoint, size, path, name, stamp, checkSum uint64
}

// Layouts for use without symbols, and for 32-bit entries, which the kernel's
// symbols do not describe. Source: the documented KLDR_DATA_TABLE_ENTRY64 and
// LDR_DATA_TABLE_ENTRY of the Windows SDK's wdbgexts.h and winternl.h.
var (
	kldr64 = ldrOffsets{ptr: 8, base: 0x30, entryPoint: 0x38, size: 0x40, path: 0x48, name: 0x58, checkSum: 0x78, stamp: 0x9c}
	ldr64  = ldrOffsets{ptr: 8, base: 0x30, entryPoint: 0x38, size: 0x40, path: 0x48, name: 0x58, stamp: 0x80}
	ldr32  = ldrOffsets{ptr: 4, base: 0x18, entryPoint: 0x1c, size: 0x20, path: 0x24, name: 0x2c, stamp: 0x44}
)

// Of the 32-bit PEB and its loader data: PEB.Ldr and PEB_LDR_DATA.InLoadOrderModuleList.
const (
	peb32Ldr      = 0x0c
	ldrData32List = 0x0c
)

// ldrLayout takes the offsets from the kernel's symbols where they have the type.
func (s *System) ldrLayout(typeName string, known ldrOffsets) ldrOffsets {
	t, err := s.Type(typeName)
	if err != nil {
		return known
	}
	at := func(name string, or uint64) uint64 {
		if f := t.Field(name); f != nil {
			return f.Offset
		}
		return or
	}
	return ldrOffsets{
		ptr:        known.ptr,
		links:      at("InLoadOrderLinks", known.links),
		base:       at("DllBase", known.base),
		entryPoint: at("EntryPoint", known.entryPoint),
		size:       at("SizeOfImage", known.size),
		path:       at("FullDllName", known.path),
		name:       at("BaseDllName", known.name),
		stamp:      at("TimeDateStamp", known.stamp),
		checkSum:   at("CheckSum", 0),
	}
}

// fieldOr returns a member's offset, or the known one without symbols.
func (s *System) fieldOr(typeName, field string, known uint64) uint64 {
	if t, err := s.Type(typeName); err == nil {
		if f := t.Field(field); f != nil {
			return f.Offset
		}
	}
	return known
}

// maxLdrEntries bounds a loader's list; the largest known have a few thousand.
const maxLdrEntries = 1 << 16

// An ldrWalk reads a loader's list of modules.
type ldrWalk struct {
	sys         *System
	space       memory.Space
	layout      ldrOffsets
	user, wow64 bool
}

func (w ldrWalk) collect(ctx context.Context, head uint64) (mods []*Module, errs []error) {
	for m, err := range w.list(ctx, head) {
		if err != nil {
			errs = append(errs, err)
		} else {
			mods = append(mods, m)
		}
	}
	return mods, errs
}

// list yields the modules of the list at head, in load order. An entry whose
// name cannot be read is yielded without; a link that cannot be followed ends
// the list with an error.
func (w ldrWalk) list(ctx context.Context, head uint64) iter.Seq2[*Module, error] {
	return func(yield func(*Module, error) bool) {
		seen := map[uint64]bool{head: true}
		for at := head; ; {
			next, err := memory.ReadUint(w.space, at, int(w.layout.ptr))
			switch {
			case err != nil:
				err = fmt.Errorf("after %d entries: %w", len(seen)-1, err)
			case next == head:
				return
			case next == 0 || seen[next]:
				err = fmt.Errorf("the list does not close after %d entries: link to %#x", len(seen)-1, next)
			case len(seen) > maxLdrEntries:
				err = fmt.Errorf("more than %d entries", maxLdrEntries)
			default:
				err = ctx.Err()
			}
			if err != nil {
				yield(nil, err)
				return
			}
			seen[next] = true
			at = next
			m, err := w.entry(next - w.layout.links)
			if err == nil && m.Base == 0 {
				continue // the kernel's list may hold a head of its own
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

func (w ldrWalk) entry(addr uint64) (*Module, error) {
	b := make([]byte, max(w.layout.stamp, w.layout.checkSum, w.layout.name+2*w.layout.ptr)+8)
	if n, err := w.space.Read(addr, b); err != nil && uint64(n) < w.layout.name+2*w.layout.ptr {
		return nil, fmt.Errorf("entry %#x: %w", addr, err)
	}
	ptr := func(off uint64) uint64 {
		if w.layout.ptr == 4 {
			return uint64(le32(b[off:]))
		}
		return le64(b[off:])
	}
	m := &Module{
		sys: w.sys, space: w.space, User: w.user, WOW64: w.wow64, Source: "ldr", Entry: addr,
		Base: ptr(w.layout.base), Size: uint64(le32(b[w.layout.size:])),
		TimeDateStamp: le32(b[w.layout.stamp:]), HasTimeDateStamp: true,
	}
	if w.layout.checkSum != 0 {
		m.CheckSum = le32(b[w.layout.checkSum:])
	}
	var nameErr error
	m.ImageName, nameErr = w.str(b, w.layout.name, ptr)
	m.Path, _ = w.str(b, w.layout.path, ptr)
	if m.ImageName == "" {
		m.ImageName = baseName(m.Path)
	}
	if m.ImageName == "" {
		m.ImageName = fmt.Sprintf("unknown_%x", m.Base)
		if nameErr != nil {
			m.NameErr = nameErr
		}
	}
	m.Name = moduleName(m.ImageName)
	return m, nil
}

func (w ldrWalk) str(b []byte, off uint64, ptr func(uint64) uint64) (string, error) {
	n, buffer := le16(b[off:])&^1, ptr(off+w.layout.ptr)
	if n == 0 || buffer == 0 {
		return "", nil
	}
	text, err := memory.ReadBytes(w.space, buffer, int(n))
	if err != nil {
		return "", err
	}
	return types.UTF16(text), nil
}
