// Package registry reads the registry of a dump: hives, keys, values, and the
// key control blocks of open keys.
//
// The hives are the ring at nt!CmpHiveListHead. The cells of a hive are found
// through its map; since Windows 10 1803 they lie in the user part of the
// process "Registry", before that in paged pool, and volatile ones always do.
// Structures of the kernel are read through its symbols; the layout of cells,
// which is that of hive files, stands in format.go.
//
// What is damaged or not in the dump comes as a *Damage with hive, cell and
// address, between the good parts. Every count is bounded by what its cell can
// hold, every walk ends. A Registry is safe for concurrent use.
package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"

	"kdap/engine/memory"
	"kdap/engine/types"
	"kdap/engine/windows"
)

// maxHives is far above what a machine loads.
const maxHives = 1 << 16

// A Registry is the registry of a system.
type Registry struct {
	sys   *windows.System
	space memory.Space
	owner error // why the Registry process is not there to read cells through

	hivesOnce sync.Once
	hives     []*Hive
	hivesErr  error
}

// Open finds the registry of a system. It reads little: hives are read when
// they are asked for.
func Open(ctx context.Context, sys *windows.System) (*Registry, error) {
	if _, err := sys.Symbol("CmpHiveListHead"); err != nil {
		return nil, fmt.Errorf("the list of hives: %w", err)
	}
	r := &Registry{sys: sys, space: sys.Kernel()}
	p, err := registryProcess(ctx, sys)
	if err == nil {
		var space memory.Space
		if space, err = p.Space(); err == nil {
			r.space = space
		}
	}
	r.owner = err
	return r, nil
}

// registryProcess finds the process that hives are mapped into: the kernel has
// a pointer to it, and it has a name.
func registryProcess(ctx context.Context, sys *windows.System) (windows.Process, error) {
	if addr, err := sys.GlobalUint("CmpRegistryProcess", 8); err == nil && addr != 0 {
		if p := sys.Process(addr); p.IsProcess() {
			return p, nil
		}
	}
	for p, err := range sys.Processes(ctx) {
		if err != nil {
			continue
		}
		if name, err := p.ImageName(); err == nil && name == "Registry" {
			if peb, err := p.PEB(); err == nil && peb == 0 {
				return p, nil
			}
		}
	}
	return windows.Process{}, errors.New("there is no process Registry")
}

// System returns the system the registry belongs to.
func (r *Registry) System() *windows.System { return r.sys }

// Space returns the address space that cells are read in.
func (r *Registry) Space() memory.Space { return r.space }

// Owner returns why no Registry process was found, nil when there is one. It
// is no error before Windows 10 1803.
func (r *Registry) Owner() error { return r.owner }

// Hives yields the hives in the order they were loaded. A list that is broken
// is read from its end too; the error says where.
func (r *Registry) Hives() iter.Seq2[*Hive, error] {
	return func(yield func(*Hive, error) bool) {
		r.hivesOnce.Do(r.readHives)
		for _, h := range r.hives {
			if !yield(h, nil) {
				return
			}
		}
		if r.hivesErr != nil {
			yield(nil, r.hivesErr)
		}
	}
}

func (r *Registry) readHives() {
	head := r.sys.Global("CmpHiveListHead", "_LIST_ENTRY")
	hive, err := r.sys.Type("_CMHIVE")
	link := r.sys.Struct("_CMHIVE", 0).Field("HiveList")
	if err := errors.Join(head.Err(), err, link.Err()); err != nil {
		r.hivesErr = fmt.Errorf("the list of hives: %w", err)
		return
	}
	seen := map[uint64]bool{}
	walk := func(from string) (found []*Hive, err error) {
		for at := head; len(seen) < maxHives; {
			next, err := at.Field(from).Uint()
			switch {
			case err != nil:
				return found, fmt.Errorf("the list of hives, %s of %#x: %w", from, at.Addr(), err)
			case next == head.Addr():
				return found, nil
			case next == 0 || seen[next]:
				return found, fmt.Errorf("the list of hives, %s of %#x: %#x is no next entry", from, at.Addr(), next)
			}
			h := r.newHive(types.NewObject(r.sys.Kernel(), hive, next-link.Addr()))
			if _, err := h.Signature(); err != nil {
				return found, fmt.Errorf("the list of hives, %s of %#x: %w", from, at.Addr(), err)
			}
			seen[next] = true
			found = append(found, h)
			at = head.At(next, head.Type())
		}
		return found, fmt.Errorf("the list of hives has more than %d entries", maxHives)
	}
	r.hives, r.hivesErr = walk("Flink")
	if r.hivesErr == nil {
		return
	}
	rest, _ := walk("Blink") // it ends where the list is broken, which is told
	for i := len(rest) - 1; i >= 0; i-- {
		r.hives = append(r.hives, rest[i])
	}
}

// Hive returns the hive at addr.
func (r *Registry) Hive(addr uint64) *Hive {
	r.hivesOnce.Do(r.readHives)
	for _, h := range r.hives {
		if h.Addr() == addr {
			return h
		}
	}
	return r.newHive(r.sys.Struct("_CMHIVE", addr))
}

// known returns the listed hive at addr.
func (r *Registry) known(addr uint64) (*Hive, bool) {
	r.hivesOnce.Do(r.readHives)
	for _, h := range r.hives {
		if h.Addr() == addr {
			return h, true
		}
	}
	return nil, false
}

// Master returns the hive that holds \REGISTRY itself.
func (r *Registry) Master() (*Hive, error) {
	if addr, err := r.sys.GlobalUint("CmpMasterHive", 8); err == nil {
		if h, ok := r.known(addr); ok {
			return h, nil
		}
	}
	for h, err := range r.Hives() {
		if err != nil {
			return nil, err
		}
		if strings.EqualFold(h.Path(), rootPath) {
			return h, nil
		}
	}
	return nil, errors.New(`no hive holds \REGISTRY`)
}

// A Damage is something in a hive that cannot be read or is not as it should be.
type Damage struct {
	Hive uint64
	Cell Cell
	Addr uint64 // of the cell's content, 0 when it was not found
	What string // what was looked for there
	Err  error
}

func (e *Damage) Error() string {
	place := fmt.Sprintf("hive %#x, cell %#x", e.Hive, uint32(e.Cell))
	if e.Addr != 0 {
		place += fmt.Sprintf(" at %#x", e.Addr)
	}
	return fmt.Sprintf("%s: %s: %v", place, e.What, e.Err)
}

func (e *Damage) Unwrap() error { return e.Err }
