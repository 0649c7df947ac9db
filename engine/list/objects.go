package list

import (
	"context"
	"iter"

	"kdap/engine/windows"
)

// An Object is an entry of the kind "objects": an object with a name.
type Object struct {
	Object   Hex    `json:"object"`
	Type     string `json:"type,omitempty"`
	Path     string `json:"path"`
	Handles  *int64 `json:"handles,omitempty"`  // that are open
	Pointers *int64 `json:"pointers,omitempty"` // references
	Target   string `json:"target,omitempty"`   // of a symbolic link

	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// Objects yields the objects of the object manager's namespace.
func Objects(ctx context.Context, sys *windows.System, _ Filter) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for e, err := range sys.Namespace(ctx) {
			var v Object
			if err == nil {
				v = newObject(sys, e)
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

func newObject(sys *windows.System, e windows.DirectoryEntry) Object {
	v := Object{Object: Hex(e.Object.Addr()), Path: e.Path}
	u := &v.Unreadable
	if e.Err != nil {
		u.add("path", e.Err)
	}
	kind, err := e.Object.TypeName()
	v.Type = readText(u, "type", kind, err)
	n, err := e.Object.HandleCount()
	v.Handles = read(u, "handles", n, err)
	n, err = e.Object.PointerCount()
	v.Pointers = read(u, "pointers", n, err)
	if kind == "SymbolicLink" {
		link, err := sys.SymbolicLink(e.Object.Addr())
		v.Target = readText(u, "target", link.Target, err)
	}
	return v
}

// A Routine is a driver's routine for one major function.
type Routine struct {
	Major   string `json:"major"` // "IRP_MJ_CREATE" ...
	Routine Hex    `json:"routine"`
	Symbol  string `json:"symbol,omitempty"`
}

// A Driver is an entry of the kind "drivers".
type Driver struct {
	Driver   Hex       `json:"driver"`
	Name     string    `json:"name,omitempty"`
	Start    *Hex      `json:"start,omitempty"` // of its image
	Size     *uint64   `json:"size,omitempty"`  // bytes
	Devices  []Hex     `json:"devices"`
	Dispatch []Routine `json:"dispatch"` // by major function

	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// Drivers yields the driver objects.
func Drivers(ctx context.Context, sys *windows.System, _ Filter) iter.Seq2[Driver, error] {
	return func(yield func(Driver, error) bool) {
		for d, err := range sys.Drivers(ctx) {
			var v Driver
			if err == nil {
				v = newDriver(ctx, sys, d)
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

func newDriver(ctx context.Context, sys *windows.System, d windows.Driver) Driver {
	v := Driver{Driver: Hex(d.Addr()), Devices: []Hex{}, Dispatch: []Routine{}}
	u := &v.Unreadable
	name, err := d.Name()
	v.Name = readText(u, "name", name, err)
	start, err := d.Start()
	v.Start = readHex(u, "start", start, err)
	size, err := d.Size()
	v.Size = read(u, "size", size, err)
	for dev, err := range d.Devices(ctx) {
		if err != nil {
			u.add("devices", err)
			break
		}
		v.Devices = append(v.Devices, Hex(dev.Addr()))
	}
	routines, err := d.Dispatch()
	if err != nil {
		u.add("dispatch", err)
	}
	for i, at := range routines {
		r := Routine{Major: windows.MajorFunctionName(uint64(i)), Routine: Hex(at)}
		if at != 0 {
			r.Symbol = sys.KernelModules(ctx).Name(ctx, at)
		}
		v.Dispatch = append(v.Dispatch, r)
	}
	return v
}

// A Device is an entry of the kind "devices".
type Device struct {
	Device         Hex     `json:"device"`
	Name           string  `json:"name,omitempty"`
	Driver         *Hex    `json:"driver,omitempty"`
	DriverName     string  `json:"driverName,omitempty"`
	Type           *uint64 `json:"type,omitempty"` // a FILE_DEVICE number
	Flags          *Hex    `json:"flags,omitempty"`
	AttachedTo     *Hex    `json:"attachedTo,omitempty"`     // the device below it
	AttachedDevice *Hex    `json:"attachedDevice,omitempty"` // the device above it
	CurrentIRP     *Hex    `json:"currentIrp,omitempty"`     // the request it works on

	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// Devices yields the devices of all drivers.
func Devices(ctx context.Context, sys *windows.System, _ Filter) iter.Seq2[Device, error] {
	return func(yield func(Device, error) bool) {
		for d, err := range sys.Devices(ctx) {
			var v Device
			if err == nil {
				v = newDevice(d)
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

func newDevice(d windows.Device) Device {
	v := Device{Device: Hex(d.Addr())}
	u := &v.Unreadable
	// A null pointer is something that does not exist.
	pointer := func(field string, value func() (uint64, error)) *Hex {
		at, err := value()
		if err == nil && at == 0 {
			return nil
		}
		return readHex(u, field, at, err)
	}
	name, err := d.Name()
	v.Name = readText(u, "name", name, err)
	v.Driver = pointer("driver", d.Driver)
	name, err = d.DriverName()
	v.DriverName = readText(u, "driverName", name, err)
	kind, err := d.Type()
	v.Type = read(u, "type", kind, err)
	flags, err := d.Flags()
	v.Flags = readHex(u, "flags", flags, err)
	v.AttachedTo = pointer("attachedTo", d.AttachedTo)
	v.AttachedDevice = pointer("attachedDevice", d.Attached)
	v.CurrentIRP = pointer("currentIrp", d.CurrentIRP)
	return v
}

// A Session is an entry of the kind "sessions".
type Session struct {
	Session   uint32   `json:"session"`
	Address   Hex      `json:"address"`   // its MM_SESSION_SPACE
	Processes []uint64 `json:"processes"` // their ids

	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// Sessions yields the sessions with the ids of their processes.
func Sessions(ctx context.Context, sys *windows.System, _ Filter) iter.Seq2[Session, error] {
	return func(yield func(Session, error) bool) {
		found, err := sys.Sessions(ctx)
		for _, s := range found {
			v := Session{Session: s.ID, Address: Hex(s.Addr), Processes: []uint64{}}
			for _, p := range s.Processes {
				pid, err := p.PID()
				if err != nil {
					v.Unreadable.add("processes", err)
					continue
				}
				v.Processes = append(v.Processes, pid)
			}
			if !yield(v, nil) {
				return
			}
		}
		if err != nil {
			yield(Session{}, err)
		}
	}
}
