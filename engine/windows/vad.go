package windows

import (
	"context"
	"fmt"
	"iter"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// A VAD is one node of a process's tree of address ranges (_MMVAD_SHORT, for
// mapped ranges the start of a _MMVAD).
type VAD struct {
	proc  Process
	obj   types.Object // _MMVAD_SHORT
	Start uint64       // first byte
	End   uint64       // last byte
	Level int          // depth in the tree, the root has 0
}

// maxVads bounds a tree: 2^20 ranges are more than any process maps.
const maxVads = 1 << 20

// VADs yields the process's ranges in address order. A branch that cannot be
// read yields its error; the rest follows.
func (p Process) VADs(ctx context.Context) iter.Seq2[VAD, error] {
	return func(yield func(VAD, error) bool) {
		root, err := p.vadRoot()
		if err != nil {
			yield(VAD{}, fmt.Errorf("VADs of process %#x: %w", p.Addr(), err))
			return
		}
		for v, err := range p.VADsFrom(ctx, root) {
			if !yield(v, err) {
				return
			}
		}
	}
}

func (p Process) vadRoot() (uint64, error) {
	return p.obj.FirstField("VadRoot.Root", "VadRoot.BalancedRoot.RightChild").Uint()
}

// vadLeft and vadRight are the links of a node: those of a balanced tree, of the
// table of Windows 8, and of Windows 7, where they are members of the node.
func vadLeft(node types.Object) types.Object {
	return node.FirstField("VadNode.Left", "VadNode.LeftChild", "LeftChild")
}

func vadRight(node types.Object) types.Object {
	return node.FirstField("VadNode.Right", "VadNode.RightChild", "RightChild")
}

// VADsFrom is VADs for the part of the tree below a node. Levels count from it.
func (p Process) VADsFrom(ctx context.Context, root uint64) iter.Seq2[VAD, error] {
	return func(yield func(VAD, error) bool) {
		short, err := p.sys.Type("_MMVAD_SHORT")
		if err != nil {
			yield(VAD{}, err)
			return
		}
		w := vadWalk{proc: p, ctx: ctx, short: short, seen: map[uint64]bool{}, yield: yield}
		w.node(root, 0)
	}
}

type vadWalk struct {
	proc  Process
	ctx   context.Context
	short *types.Type
	seen  map[uint64]bool
	yield func(VAD, error) bool
}

// maxVadDepth bounds the recursion: a balanced tree of maxVads nodes is 29 deep.
const maxVadDepth = 64

func (w *vadWalk) node(addr uint64, level int) bool {
	// The low bits of a link hold the balance of the node it points at.
	addr &^= 7
	if addr == 0 {
		return true
	}
	if err := w.ctx.Err(); err != nil {
		w.yield(VAD{}, err)
		return false
	}
	if w.seen[addr] || level > maxVadDepth || len(w.seen) > maxVads {
		return w.yield(VAD{}, fmt.Errorf("VADs of process %#x: the tree is not one at %#x", w.proc.Addr(), addr))
	}
	w.seen[addr] = true
	obj := types.NewObject(w.proc.sys.Kernel(), w.short, addr)
	left, err := vadLeft(obj).Uint()
	if err != nil {
		return w.yield(VAD{}, fmt.Errorf("VAD %#x: %w", addr, err))
	}
	if !w.node(left, level+1) {
		return false
	}
	v, err := newVAD(w.proc, obj, level)
	if err != nil {
		err = fmt.Errorf("VAD %#x: %w", addr, err)
	}
	if !w.yield(v, err) {
		return false
	}
	right, err := vadRight(obj).Uint()
	if err != nil {
		return w.yield(VAD{}, fmt.Errorf("VAD %#x: %w", addr, err))
	}
	return w.node(right, level+1)
}

func newVAD(p Process, obj types.Object, level int) (VAD, error) {
	vpn := func(low, high string) (uint64, error) {
		v, err := obj.Field(low).Uint()
		if err == nil && obj.Has(high) {
			var h uint64
			h, err = obj.Field(high).Uint()
			v |= h << 32
		}
		return v, err
	}
	start, err := vpn("StartingVpn", "StartingVpnHigh")
	if err != nil {
		return VAD{}, err
	}
	end, err := vpn("EndingVpn", "EndingVpnHigh")
	if err != nil {
		return VAD{}, err
	}
	return VAD{
		proc: p, obj: obj, Level: level,
		Start: start << memory.PageShift, End: end<<memory.PageShift | (memory.PageSize - 1),
	}, nil
}

// Addr returns the address of the node.
func (v VAD) Addr() uint64 { return v.obj.Addr() }

// Object returns the _MMVAD_SHORT.
func (v VAD) Object() types.Object { return v.obj }

// Contains reports whether the range holds the address.
func (v VAD) Contains(va uint64) bool { return v.Start <= va && va <= v.End }

// Image reports whether the range maps an image file.
func (v VAD) Image() bool {
	t, err := v.vadType()
	return err == nil && t == vadImageMap
}

// File returns the path of the mapped file, relative to its volume, "" for
// private ranges and sections without a file.
func (v VAD) File() (string, error) {
	f, err := v.fileObject()
	if err != nil || f.Addr() == 0 {
		return "", err
	}
	return f.Field("FileName").UnicodeString()
}

// NTPath returns the path of the mapped file with its volume in front, where
// the volume's device has a name.
func (v VAD) NTPath() (string, error) {
	f, err := v.fileObject()
	if err != nil || f.Addr() == 0 {
		return "", err
	}
	path, err := f.Field("FileName").UnicodeString()
	if err != nil || path == "" {
		return "", err
	}
	device, err := f.Field("DeviceObject").Uint()
	if err != nil || device == 0 {
		return path, nil
	}
	if name, err := v.proc.sys.ObjectAt(device).Name(); err == nil && name != "" {
		return `\Device\` + name + path, nil
	}
	return path, nil
}

// fileObject returns the _FILE_OBJECT behind a mapped range; the zero Object
// for ranges without one.
func (v VAD) fileObject() (types.Object, error) {
	if private, err := v.obj.Field("u.VadFlags.PrivateMemory").Uint(); err != nil || private != 0 {
		return types.Object{}, err
	}
	area := v.proc.sys.Struct("_MMVAD", v.Addr()).Field("Subsection").Deref().Field("ControlArea").Deref()
	ptr, err := area.Field("FilePointer.Value").Uint()
	if err != nil || ptr&^0xf == 0 {
		return types.Object{}, err
	}
	// _EX_FAST_REF keeps a reference count in the low four bits.
	return v.proc.sys.Struct("_FILE_OBJECT", ptr&^0xf), nil
}
