package windows

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"kdap/engine/types"
)

// A Device is a view over one _DEVICE_OBJECT.
type Device struct {
	sys *System
	obj types.Object
}

// Device returns the view over the _DEVICE_OBJECT at addr.
func (s *System) Device(addr uint64) Device { return Device{s, s.Struct("_DEVICE_OBJECT", addr)} }

// Addr returns the address of the _DEVICE_OBJECT.
func (d Device) Addr() uint64 { return d.obj.Addr() }

// Object returns the _DEVICE_OBJECT itself.
func (d Device) Object() types.Object { return d.obj }

// IsDevice reports whether the object says that it is a device.
func (d Device) IsDevice() bool { return isIOType(d.obj, ioTypeDevice) }

// Name returns the name the device has in its directory, "" without one.
func (d Device) Name() (string, error) { return d.sys.ObjectAt(d.Addr()).Name() }

// Driver returns the address of the device's driver, 0 without one.
func (d Device) Driver() (uint64, error) { return d.obj.Field("DriverObject").Uint() }

// DriverName returns the name of the device's driver.
func (d Device) DriverName() (string, error) {
	addr, err := d.Driver()
	if err != nil || addr == 0 {
		return "", err
	}
	return d.sys.Driver(addr).Name()
}

// Type returns the device's type (FILE_DEVICE_*).
func (d Device) Type() (uint64, error) { return d.obj.Field("DeviceType").Uint() }

// Flags returns the device's flags (DO_*).
func (d Device) Flags() (uint64, error) { return d.obj.Field("Flags").Uint() }

// Attached returns the address of the device that is attached above this one, 0 for none.
func (d Device) Attached() (uint64, error) { return d.obj.Field("AttachedDevice").Uint() }

// AttachedTo returns the address of the device below this one, 0 for none.
func (d Device) AttachedTo() (uint64, error) {
	v, err := d.Extension().Field("AttachedTo").Uint()
	if errors.Is(err, types.ErrNull) {
		return 0, nil
	}
	return v, err
}

// CurrentIRP returns the address of the request the device works on, 0 for none.
func (d Device) CurrentIRP() (uint64, error) { return d.obj.Field("CurrentIrp").Uint() }

// Extension returns the _DEVOBJ_EXTENSION, the kernel's own part of the device.
func (d Device) Extension() types.Object { return d.obj.Field("DeviceObjectExtension").Deref() }

// Node returns the address of the device's _DEVICE_NODE, 0 for a device that no bus reported.
func (d Device) Node() (uint64, error) {
	v, err := d.Extension().Field("DeviceNode").Uint()
	if errors.Is(err, types.ErrNull) {
		return 0, nil
	}
	return v, err
}

// maxDeviceStack bounds the devices of one stack; the kernel's limit of stack
// locations is a signed byte.
const maxDeviceStack = 128

// Stack returns the devices of the stack that d is in, the top first. With an
// error it returns those that were found.
func (d Device) Stack() ([]Device, error) {
	var up, down []Device
	seen := map[uint64]bool{d.Addr(): true}
	walk := func(list *[]Device, step func(Device) (uint64, error)) error {
		for at := d; len(seen) < maxDeviceStack; {
			next, err := step(at)
			if err != nil {
				return fmt.Errorf("device %#x: %w", at.Addr(), err)
			}
			if next == 0 {
				return nil
			}
			if seen[next] {
				return fmt.Errorf("device stack: cycle at %#x", next)
			}
			seen[next] = true
			if at = d.sys.Device(next); !at.IsDevice() {
				return fmt.Errorf("device stack: %#x is no device", next)
			}
			*list = append(*list, at)
		}
		return fmt.Errorf("device stack: more than %d devices", maxDeviceStack)
	}
	err := walk(&up, Device.Attached)
	err = errors.Join(err, walk(&down, Device.AttachedTo))
	stack := make([]Device, 0, len(seen))
	for i := len(up) - 1; i >= 0; i-- {
		stack = append(stack, up[i])
	}
	return append(append(stack, d), down...), err
}

// Devices yields the devices of all drivers, then those that are in the
// namespace without one.
func (s *System) Devices(ctx context.Context) iter.Seq2[Device, error] {
	return func(yield func(Device, error) bool) {
		seen := map[uint64]bool{}
		var named []Device
		for e, err := range s.Namespace(ctx) {
			if err != nil {
				if !yield(Device{}, err) {
					return
				}
				continue
			}
			switch t, _ := e.Object.TypeName(); t {
			case "Device":
				named = append(named, s.Device(e.Object.Addr()))
			case "Driver":
				for d, err := range s.Driver(e.Object.Addr()).Devices(ctx) {
					if err != nil {
						err = fmt.Errorf("driver %s: %w", e.Path, err)
					} else if seen[d.Addr()] {
						continue
					}
					seen[d.Addr()] = true
					if !yield(d, err) {
						return
					}
				}
			}
		}
		for _, d := range named {
			if !seen[d.Addr()] && !yield(d, nil) {
				return
			}
		}
	}
}

// A FileObject is a view over one _FILE_OBJECT.
type FileObject struct {
	sys *System
	obj types.Object
}

// FileObject returns the view over the _FILE_OBJECT at addr.
func (s *System) FileObject(addr uint64) FileObject {
	return FileObject{s, s.Struct("_FILE_OBJECT", addr)}
}

// Addr returns the address of the _FILE_OBJECT.
func (f FileObject) Addr() uint64 { return f.obj.Addr() }

// Object returns the _FILE_OBJECT itself.
func (f FileObject) Object() types.Object { return f.obj }

// IsFile reports whether the object says that it is a file.
func (f FileObject) IsFile() bool { return isIOType(f.obj, ioTypeFile) }

// Name returns the file's name on its device. A file opened relative to
// another has only the rest of its name.
func (f FileObject) Name() (string, error) { return f.obj.Field("FileName").UnicodeString() }

// Device returns the device the file is on; false for a file without one.
func (f FileObject) Device() (Device, bool, error) {
	addr, err := f.obj.Field("DeviceObject").Uint()
	return f.sys.Device(addr), addr != 0, err
}

// DeviceName returns the name of the device the file is on, "" without one.
func (f FileObject) DeviceName() (string, error) {
	d, ok, err := f.Device()
	if err != nil || !ok {
		return "", err
	}
	return d.Name()
}

// Queue yields the addresses of the requests in the device's own queue.
func (d Device) Queue(ctx context.Context) iter.Seq2[uint64, error] {
	return func(yield func(uint64, error) bool) {
		irp, err := d.sys.Type("_IRP")
		if err != nil {
			yield(0, err)
			return
		}
		entry := types.NewObject(d.sys.Kernel(), irp, 0).Field("Tail.Overlay.DeviceQueueEntry")
		t, terr := d.sys.Type("_KDEVICE_QUEUE_ENTRY")
		if err := errors.Join(entry.Err(), terr); err != nil {
			yield(0, err)
			return
		}
		for o, err := range types.ListEntries(d.obj.Field("DeviceQueue.DeviceListHead"), t, "DeviceListEntry") {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(0, fmt.Errorf("queue of device %#x: %w", d.Addr(), err))
				return
			}
			if !yield(o.Addr()-entry.Addr(), nil) {
				return
			}
		}
	}
}
