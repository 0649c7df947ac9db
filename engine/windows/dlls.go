package windows

import (
	"context"
	"fmt"
	"iter"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// A LoadedDLL is an entry of a process's loader lists, LDR_DATA_TABLE_ENTRY,
// with what debuggers show of it.
type LoadedDLL struct {
	Entry, Base, EntryPoint, Node uint64
	OriginalBase                  uint64 // that the image was linked for; 0 where the loader does not keep it
	Size, Flags, TimeDateStamp    uint32
	TLSIndex                      uint32
	Path, Name                    string
	NameErr                       error // why the names could not be read

	// LoadCount is that of the node (LDR_DDAG_NODE) since Windows 8, of the
	// entry before; all ones for modules that are never unloaded.
	LoadCount, NodeReferences uint32
}

// Contains reports whether va lies in the DLL.
func (d LoadedDLL) Contains(va uint64) bool { return va-d.Base < uint64(d.Size) }

// A LoaderOrder is one of the three lists of a loader.
type LoaderOrder int

// The lists, in the order they have in PEB_LDR_DATA.
const (
	LoadOrder LoaderOrder = iota
	MemoryOrder
	InitializationOrder
)

var loaderLists = []string{"InLoadOrderModuleList", "InMemoryOrderModuleList", "InInitializationOrderModuleList"}

// listHead and listLinks are where the lists lie in PEB_LDR_DATA and in an
// entry, which are the same in all versions (winternl.h).
func listHead(pointer int, o LoaderOrder) uint64 {
	if pointer == 4 {
		return ldrData32List + 8*uint64(o)
	}
	return 0x10 + 0x10*uint64(o)
}

func listLinks(pointer int, o LoaderOrder) uint64 { return 2 * uint64(pointer) * uint64(o) }

// LoadedDLLs yields the entries of the loader's list of the PEB at an address,
// of code with pointers of 4 or 8 bytes. An entry that cannot be read ends the
// list with an error, so does a broken link.
func (p Process) LoadedDLLs(ctx context.Context, peb uint64, pointer int, order LoaderOrder) iter.Seq2[LoadedDLL, error] {
	return func(yield func(LoadedDLL, error) bool) {
		space, err := p.Space()
		if err != nil {
			yield(LoadedDLL{}, err)
			return
		}
		member := p.sys.fieldOr("_PEB", "Ldr", 0x18)
		if pointer == 4 {
			member = peb32Ldr
		}
		ldr, err := memory.ReadUint(space, peb+member, pointer)
		if err != nil || ldr == 0 {
			if err != nil {
				yield(LoadedDLL{}, fmt.Errorf("PEB %#x: %w", peb, err))
			}
			return
		}
		head := ldr + listHead(pointer, order)
		seen := map[uint64]bool{head: true}
		for at := head; ; {
			next, err := memory.ReadUint(space, at, pointer)
			switch {
			case err != nil:
				err = fmt.Errorf("%s, after %d entries: %w", loaderLists[order], len(seen)-1, err)
			case next == head:
				return
			case next == 0 || seen[next] || len(seen) > maxLdrEntries:
				err = fmt.Errorf("%s does not close after %d entries: link to %#x", loaderLists[order], len(seen)-1, next)
			default:
				err = ctx.Err()
			}
			if err != nil {
				yield(LoadedDLL{}, err)
				return
			}
			seen[next] = true
			at = next
			d, err := p.LoadedDLLAt(next-listLinks(pointer, order), pointer)
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// Members of 32-bit entries beyond those of ldr32 (public symbols of wntdll,
// the same since Windows 8): Flags, ObsoleteLoadCount, TlsIndex, DdagNode.
const (
	ldr32Flags     = 0x34
	ldr32LoadCount = 0x38
	ldr32TLSIndex  = 0x3a
	ldr32Node      = 0x50
)

// The same of 64-bit entries, for symbols that lack them.
const (
	ldr64Flags     = 0x68
	ldr64LoadCount = 0x6c
	ldr64TLSIndex  = 0x6e
	ldr64Node      = 0x98
)

// LoadedDLLAt reads the entry at an address.
func (p Process) LoadedDLLAt(addr uint64, pointer int) (LoadedDLL, error) {
	space, err := p.Space()
	if err != nil {
		return LoadedDLL{Entry: addr}, err
	}
	walk := ldrWalk{sys: p.sys, space: space, user: true, layout: ldr32}
	if pointer == 8 {
		walk.layout = p.sys.ldrLayout("_LDR_DATA_TABLE_ENTRY", ldr64)
	}
	m, err := walk.entry(addr)
	if err != nil {
		return LoadedDLL{Entry: addr}, err
	}
	d := LoadedDLL{
		Entry: addr, Base: m.Base, Size: uint32(m.Size), TimeDateStamp: m.TimeDateStamp,
		Path: m.Path, Name: m.ImageName, NameErr: m.NameErr,
	}
	number := func(off uint64, size int) uint64 {
		v, rerr := memory.ReadUint(space, addr+off, size)
		if rerr != nil && err == nil {
			err = fmt.Errorf("entry %#x: %w", addr, rerr)
		}
		return v
	}
	d.EntryPoint = number(walk.layout.entryPoint, pointer)
	if pointer == 4 {
		d.Flags = uint32(number(ldr32Flags, 4))
		d.LoadCount, d.TLSIndex = uint32(number(ldr32LoadCount, 2)), uint32(number(ldr32TLSIndex, 2))
		d.Node = number(ldr32Node, 4)
	} else {
		at := func(name string, known uint64) uint64 { return p.sys.fieldOr("_LDR_DATA_TABLE_ENTRY", name, known) }
		d.Flags = uint32(number(at("Flags", ldr64Flags), 4))
		d.LoadCount = uint32(number(at("ObsoleteLoadCount", at("LoadCount", ldr64LoadCount)), 2))
		d.TLSIndex = uint32(number(at("TlsIndex", ldr64TLSIndex), 2))
		if p.hasDdagNodes() {
			d.Node = number(at("DdagNode", ldr64Node), 8)
		}
		if t, terr := p.sys.Type("_LDR_DATA_TABLE_ENTRY"); terr == nil && t.Has("OriginalBase") {
			d.OriginalBase = number(at("OriginalBase", 0), 8)
		}
	}
	p.readNode(&d, space, pointer)
	return d, err
}

// hasDdagNodes reports whether entries have nodes: not where the symbols know
// the entries and have none.
func (p Process) hasDdagNodes() bool {
	t, err := p.sys.Type("_LDR_DATA_TABLE_ENTRY")
	return err != nil || t.Has("DdagNode") || !t.Has("Flags")
}

// Members of LDR_DDAG_NODE by pointer size: LoadCount, and the count of
// references behind it (public symbols, the same since Windows 8).
var nodeCounts = map[int]uint64{8: 0x18, 4: 0xc}

// readNode takes the counts from the entry's node, where there is one.
func (p Process) readNode(d *LoadedDLL, space memory.Space, pointer int) {
	if d.Node == 0 {
		return
	}
	at := nodeCounts[pointer]
	if t, err := p.sys.Type("_LDR_DDAG_NODE"); err == nil && pointer == 8 {
		o := types.NewObject(space, t, d.Node)
		if load, err := o.Field("LoadCount").Uint(); err == nil {
			references, _ := o.FirstField("ReferenceCount", "LoadWhileUnloadingCount").Uint()
			d.LoadCount, d.NodeReferences = uint32(load), uint32(references)
			return
		}
	}
	if load, err := memory.ReadUint(space, d.Node+at, 4); err == nil {
		references, _ := memory.ReadUint(space, d.Node+at+4, 4)
		d.LoadCount, d.NodeReferences = uint32(load), uint32(references)
	}
}
