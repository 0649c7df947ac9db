package windows

import (
	"context"
	"iter"
	"strings"

	"kdap/engine/types"
)

// ObjectTypeNamed finds a type of the object manager, without regard to letter
// case.
func (s *System) ObjectTypeNamed(name string) (ObjectType, bool) {
	for i := uint64(2); i < maxObjectTypes; i++ {
		if t, err := s.objectType(i); err == nil && strings.EqualFold(t.Name, name) {
			return t, true
		}
	}
	return ObjectType{}, false
}

// ObjectsOfType yields the objects of a type. The kernel lists them only where
// it was told to track objects; without that list it yields those that have a
// name or a handle.
func (s *System) ObjectsOfType(ctx context.Context, t ObjectType) iter.Seq2[KernelObject, error] {
	return func(yield func(KernelObject, error) bool) {
		seen := map[uint64]bool{}
		give := func(o KernelObject, err error) bool {
			if err != nil {
				return yield(o, err)
			}
			if kind, err := o.ObjectType(); err != nil || kind.Addr != t.Addr || seen[o.Addr()] {
				return true
			}
			seen[o.Addr()] = true
			return yield(o, nil)
		}
		for o, err := range s.trackedObjects(t) {
			if err == nil {
				err = ctx.Err()
			}
			if !give(o, err) || ctx.Err() != nil {
				return
			}
		}
		if len(seen) > 0 {
			return
		}
		for e, err := range s.Namespace(ctx) {
			if !give(e.Object, err) {
				return
			}
		}
		for p, err := range s.Processes(ctx) {
			if err != nil {
				continue
			}
			if !give(s.ObjectAt(p.Addr()), nil) {
				return
			}
			for h, err := range p.Handles(ctx) {
				if err == nil && !give(h.Target(), nil) {
					return
				}
			}
		}
	}
}

// trackedObjects yields the objects on the type's own list, which goes through
// their creator information.
func (s *System) trackedObjects(t ObjectType) iter.Seq2[KernelObject, error] {
	return func(yield func(KernelObject, error) bool) {
		info, err := s.Type("_OBJECT_HEADER_CREATOR_INFO")
		if err != nil {
			return
		}
		head := s.Struct("_OBJECT_TYPE", t.Addr).Field("TypeList")
		for o, err := range types.ListEntries(head, info, "TypeList") {
			if err != nil {
				return // not kept by this kernel
			}
			// The creator information is the optional header next to the header.
			if !yield(s.objectOfHeader(o.Addr()+info.Size), nil) {
				return
			}
		}
	}
}
