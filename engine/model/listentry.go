package model

import (
	"context"

	"kdap/engine/types"
)

// FromListEntry walks a list whose head is a LIST_ENTRY and returns the
// structures of type t that hold it at an offset.
func FromListEntry(head Native, t *types.Type, offset uint64) *Object {
	return Sequence(func(ctx context.Context, yield func(v Value) bool) error {
		visited := map[uint64]bool{head.Addr: true}
		for at := head.Addr; ; {
			if err := ctx.Err(); err != nil {
				return err
			}
			next, err := readUint(head.Space, at, pointerSize)
			if err != nil || next == 0 || visited[next] || len(visited) > maxCollect {
				return nil // the good part is what there is
			}
			visited[next] = true
			if !yield(NativeAt(head.Space, t, next-offset)) {
				return nil
			}
			at = next
		}
	})
}
