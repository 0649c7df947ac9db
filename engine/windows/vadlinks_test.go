package windows

import (
	"testing"

	"kdap/engine/types"
)

// TestVADLinks: where the links of a node are, from published listings of
// Windows 7 SP1, 8 and 10.
func TestVADLinks(t *testing.T) {
	link := &types.Type{Kind: types.Pointer, Size: 8}
	node := func(at uint64, left, right string) *types.Type {
		fields := []types.Field{{Name: left, Offset: at, Type: link}, {Name: right, Offset: at + 8, Type: link}}
		return (&types.Type{Kind: types.Struct, Size: 0x78}).NewLazy(func(l *types.Lazy) { l.Fields = fields })
	}
	within := func(n *types.Type) *types.Type {
		return (&types.Type{Kind: types.Struct, Size: 0x40}).NewLazy(func(l *types.Lazy) {
			l.Fields = []types.Field{{Name: "VadNode", Type: n}}
		})
	}
	for name, tt := range map[string]struct {
		typ *types.Type
		at  uint64
	}{
		"7":  {node(8, "LeftChild", "RightChild"), 8},
		"8":  {within(node(8, "LeftChild", "RightChild")), 8},
		"10": {within(node(0, "Left", "Right")), 0},
	} {
		o := types.NewObject(nil, tt.typ, 0x1000)
		left, right := vadLeft(o), vadRight(o)
		if left.Err() != nil || right.Err() != nil || left.Addr() != 0x1000+tt.at || right.Addr() != 0x1008+tt.at {
			t.Errorf("Windows %s: %#x %v, %#x %v", name, left.Addr(), left.Err(), right.Addr(), right.Err())
		}
	}
}
