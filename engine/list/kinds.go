package list

import (
	"context"
	"iter"
	"reflect"

	"kdap/engine/windows"
)

// A Kind is one listing: its name, and its entries as values of one struct type.
type Kind struct {
	Name  string
	Short string
	One   bool // a single object, not a list

	entry reflect.Type
	each  func(context.Context, *windows.System, Filter) iter.Seq2[any, error]
}

// Entry returns the struct type of the entries.
func (k Kind) Entry() reflect.Type { return k.entry }

// Each yields the entries.
func (k Kind) Each(ctx context.Context, sys *windows.System, f Filter) iter.Seq2[any, error] {
	if u := sys.User(); u != nil {
		return userEach(ctx, k, u, f)
	}
	return k.each(ctx, sys, f)
}

func kind[T any](name, short string, each func(context.Context, *windows.System, Filter) iter.Seq2[T, error]) Kind {
	return Kind{
		Name: name, Short: short, entry: reflect.TypeFor[T](),
		each: func(ctx context.Context, sys *windows.System, f Filter) iter.Seq2[any, error] {
			return func(yield func(any, error) bool) {
				for v, err := range each(ctx, sys, f) {
					if !yield(v, err) {
						return
					}
				}
			}
		},
	}
}

// Kinds returns all listings.
func Kinds() []Kind {
	system := kind("system", "what machine and dump it is", func(ctx context.Context, sys *windows.System, _ Filter) iter.Seq2[System, error] {
		return func(yield func(System, error) bool) { yield(NewSystem(ctx, sys), nil) }
	})
	system.One = true
	memory := kind("memory", "pages by list, the memory manager's counters", memoryEach)
	memory.One = true
	return []Kind{
		system,
		kind("processes", "processes", Processes),
		kind("threads", "threads and what they wait for", Threads),
		kind("stacks", "the stack of every thread", Stacks),
		kind("modules", "kernel and user modules", Modules),
		kind("envs", "environment variables", Envs),
		kind("vads", "address ranges of processes", VADs),
		kind("heaps", "heaps of processes", Heaps),
		kind("allocations", "blocks of heaps", Allocations),
		memory,
		kind("hives", "registry hives", Hives),
		kind("registry", "a registry key with its values (--key)", Keys),
		kind("handles", "open handles", Handles),
		kind("objects", "the object manager's namespace", Objects),
		kind("drivers", "driver objects and their routines", Drivers),
		kind("devices", "device objects", Devices),
		kind("sessions", "sessions and their processes", Sessions),
		kind("unloaded", "unloaded drivers", func(ctx context.Context, sys *windows.System, _ Filter) iter.Seq2[Unloaded, error] {
			return UnloadedDrivers(sys)
		}),
	}
}

// KindNamed returns the listing of this name.
func KindNamed(name string) (Kind, bool) {
	for _, k := range Kinds() {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}
