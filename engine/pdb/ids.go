package pdb

import (
	"iter"

	"kdap/engine/types"
)

// Leaves of the IPI stream.
const (
	lfFuncID        = 0x1601
	lfMFuncID       = 0x1602
	lfBuildInfo     = 0x1603
	lfSubstrList    = 0x1604
	lfStringID      = 0x1605
	lfUDTSrcLine    = 0x1606
	lfUDTModSrcLine = 0x1607
)

// A FuncID is an entry of the IPI stream that names a function: what inline
// sites refer to.
type FuncID struct {
	Name   string // without scope
	Scope  string // class or namespace, "" for none
	TI     uint32 // type index of the function type
	Member bool
}

// QualifiedName is the name with its class or namespace.
func (id FuncID) QualifiedName() string {
	if id.Scope == "" {
		return id.Name
	}
	return id.Scope + "::" + id.Name
}

// FuncID returns a function of the IPI stream.
func (f *File) FuncID(id uint32) (FuncID, bool) {
	leaf, body, err := f.ipi.record(id)
	if err != nil {
		return FuncID{}, false
	}
	d := decoder{b: body}
	out := FuncID{}
	scope := d.u32()
	out.TI = d.u32()
	out.Name = d.strz()
	switch {
	case d.err != nil:
		return FuncID{}, false
	case leaf == lfFuncID:
		out.Scope, _ = f.StringID(scope)
	case leaf == lfMFuncID:
		out.Member = true
		if u, ok := f.udt(scope); ok {
			out.Scope = string(u.name)
		}
	default:
		return FuncID{}, false
	}
	return out, true
}

// StringID returns a string of the IPI stream. A long one is a list of parts.
func (f *File) StringID(id uint32) (string, bool) {
	if id == 0 {
		return "", false
	}
	leaf, body, err := f.ipi.record(id)
	if err != nil || leaf != lfStringID {
		return "", false
	}
	d := decoder{b: body}
	list := d.u32()
	tail := d.strz()
	if d.err != nil {
		return "", false
	}
	head := ""
	if leaf, body, err := f.ipi.record(list); list != 0 && err == nil && leaf == lfSubstrList {
		d := decoder{b: body}
		for n := d.u32(); n > 0 && d.err == nil && len(head) < maxName; n-- {
			leaf, body, err := f.ipi.record(d.u32())
			if err != nil || leaf != lfStringID {
				break
			}
			part := decoder{b: body}
			part.u32()
			head += part.strz()
		}
	}
	return head + tail, true
}

// BuildInfo returns the strings of a build info record: folder, tool, source,
// PDB of the compiler, arguments.
func (f *File) BuildInfo(id uint32) []string {
	leaf, body, err := f.ipi.record(id)
	if err != nil || leaf != lfBuildInfo {
		return nil
	}
	d := decoder{b: body}
	var out []string
	for n := d.u16(); n > 0; n-- {
		id := d.u32()
		if d.err != nil {
			break
		}
		s, _ := f.StringID(id)
		out = append(out, s)
	}
	return out
}

// A TypeSource is where a type was defined.
type TypeSource struct {
	TI   uint32
	File string
	Line uint32
}

// TypeSources yields the places where types were defined, as far as known.
func (f *File) TypeSources() iter.Seq[TypeSource] {
	return func(yield func(TypeSource) bool) {
		f.ipi.each(func(_ uint32, leaf uint16, body []byte) bool {
			if leaf != lfUDTSrcLine && leaf != lfUDTModSrcLine {
				return true
			}
			d := decoder{b: body}
			src := TypeSource{TI: d.u32()}
			file := d.u32()
			src.Line = d.u32()
			if d.err != nil {
				return true
			}
			if leaf == lfUDTSrcLine {
				src.File, _ = f.StringID(file)
			} else {
				src.File = f.names().at(file)
			}
			return yield(src)
		})
	}
}

// funcType returns the type of a function of the IPI stream.
func (f *File) funcType(id uint32) *types.Type {
	fn, _ := f.FuncID(id)
	return f.TypeByIndex(fn.TI)
}
