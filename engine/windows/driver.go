package windows

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"kdap/engine/types"
)

// A Driver is a view over one _DRIVER_OBJECT.
type Driver struct {
	sys *System
	obj types.Object
}

// Driver returns the view over the _DRIVER_OBJECT at addr.
func (s *System) Driver(addr uint64) Driver { return Driver{s, s.Struct("_DRIVER_OBJECT", addr)} }

// Addr returns the address of the _DRIVER_OBJECT.
func (d Driver) Addr() uint64 { return d.obj.Addr() }

// Object returns the _DRIVER_OBJECT itself.
func (d Driver) Object() types.Object { return d.obj }

// Values of the Type member of I/O objects (IO_TYPE_* of wdm.h).
const (
	ioTypeDevice = 3
	ioTypeDriver = 4
	ioTypeFile   = 5
	ioTypeIRP    = 6
)

func isIOType(o types.Object, want uint64) bool {
	t, err := o.Field("Type").Uint()
	return err == nil && t == want
}

// IsDriver reports whether the object says that it is a driver.
func (d Driver) IsDriver() bool { return isIOType(d.obj, ioTypeDriver) }

// Name returns the driver's name with its directory, "\Driver\disk".
func (d Driver) Name() (string, error) { return d.obj.Field("DriverName").UnicodeString() }

// Start returns the base of the driver's image.
func (d Driver) Start() (uint64, error) { return d.obj.Field("DriverStart").Uint() }

// Size returns the size of the driver's image.
func (d Driver) Size() (uint64, error) { return d.obj.Field("DriverSize").Uint() }

// maxDevices bounds the list of a driver's devices.
const maxDevices = 1 << 16

// Devices yields the driver's devices, newest first.
func (d Driver) Devices(ctx context.Context) iter.Seq2[Device, error] {
	return func(yield func(Device, error) bool) {
		next, err := d.obj.Field("DeviceObject").Uint()
		d.sys.deviceChain(ctx, next, err, "NextDevice", yield)
	}
}

// deviceChain yields the devices from next on, following a member.
func (s *System) deviceChain(ctx context.Context, next uint64, err error, link string, yield func(Device, error) bool) {
	seen := map[uint64]bool{}
	for err == nil && next != 0 {
		switch {
		case seen[next] || len(seen) == maxDevices:
			err = fmt.Errorf("cycle at %#x", next)
			continue
		case ctx.Err() != nil:
			err = ctx.Err()
			continue
		}
		seen[next] = true
		d := s.Device(next)
		if !d.IsDevice() {
			err = fmt.Errorf("%#x is no device", next)
			if _, rerr := d.obj.Field("Type").Uint(); rerr != nil {
				err = rerr
			}
			continue
		}
		if !yield(d, nil) {
			return
		}
		next, err = d.obj.Field(link).Uint()
	}
	if err != nil {
		yield(Device{}, fmt.Errorf("devices: %w", err))
	}
}

// Dispatch returns the routines for the major functions, by number.
func (d Driver) Dispatch() ([]uint64, error) {
	table := d.obj.Field("MajorFunction")
	if err := table.Err(); err != nil {
		return nil, err
	}
	n := min(int(table.Type().Size/8), len(majorFunctions))
	routines := make([]uint64, n)
	for i := range routines {
		var err error
		if routines[i], err = table.Index(i).Uint(); err != nil {
			return routines[:i], err
		}
	}
	return routines, nil
}

// majorFunctions are the names of wdm.h, by number.
var majorFunctions = [...]string{
	"IRP_MJ_CREATE", "IRP_MJ_CREATE_NAMED_PIPE", "IRP_MJ_CLOSE", "IRP_MJ_READ", "IRP_MJ_WRITE",
	"IRP_MJ_QUERY_INFORMATION", "IRP_MJ_SET_INFORMATION", "IRP_MJ_QUERY_EA", "IRP_MJ_SET_EA",
	"IRP_MJ_FLUSH_BUFFERS", "IRP_MJ_QUERY_VOLUME_INFORMATION", "IRP_MJ_SET_VOLUME_INFORMATION",
	"IRP_MJ_DIRECTORY_CONTROL", "IRP_MJ_FILE_SYSTEM_CONTROL", "IRP_MJ_DEVICE_CONTROL",
	"IRP_MJ_INTERNAL_DEVICE_CONTROL", "IRP_MJ_SHUTDOWN", "IRP_MJ_LOCK_CONTROL", "IRP_MJ_CLEANUP",
	"IRP_MJ_CREATE_MAILSLOT", "IRP_MJ_QUERY_SECURITY", "IRP_MJ_SET_SECURITY", "IRP_MJ_POWER",
	"IRP_MJ_SYSTEM_CONTROL", "IRP_MJ_DEVICE_CHANGE", "IRP_MJ_QUERY_QUOTA", "IRP_MJ_SET_QUOTA", "IRP_MJ_PNP",
}

// MajorFunctionName returns the name of a major function code, "" for none.
func MajorFunctionName(code uint64) string {
	if code < uint64(len(majorFunctions)) {
		return majorFunctions[code]
	}
	return ""
}

// Drivers yields the driver objects of the namespace, in its order.
func (s *System) Drivers(ctx context.Context) iter.Seq2[Driver, error] {
	return func(yield func(Driver, error) bool) {
		for e, err := range s.Namespace(ctx) {
			if err != nil {
				if !yield(Driver{}, err) {
					return
				}
				continue
			}
			if t, err := e.Object.TypeName(); err != nil || t != "Driver" {
				continue
			}
			if !yield(s.Driver(e.Object.Addr()), nil) {
				return
			}
		}
	}
}

// ErrNoDriver says that no driver has a name.
var ErrNoDriver = errors.New("no driver of this name")

// DriverNamed finds a driver by its name: a whole one, "\FileSystem\Ntfs", or
// one below \Driver or \FileSystem.
func (s *System) DriverNamed(ctx context.Context, name string) (Driver, error) {
	paths := []string{name}
	if name == "" || name[0] != '\\' {
		paths = []string{`\Driver\` + name, `\FileSystem\` + name}
	}
	var why error
	for _, path := range paths {
		e, err := s.LookupObject(ctx, path)
		if err != nil {
			why = errors.Join(why, err)
			continue
		}
		if d := s.Driver(e.Object.Addr()); d.IsDriver() {
			return d, nil
		}
	}
	return Driver{}, errors.Join(ErrNoDriver, why)
}

// maxExtensions bounds the list of a driver's client extensions.
const maxExtensions = 1024

// Extensions yields the extensions that the driver's clients have added: what
// they are known by, and where their memory begins.
func (d Driver) Extensions() iter.Seq2[uint64, uint64] {
	return func(yield func(id, addr uint64) bool) {
		t, err := d.sys.Type("_IO_CLIENT_EXTENSION")
		if err != nil {
			return
		}
		at, err := d.obj.Field("DriverExtension").Deref().Field("ClientDriverExtension").Uint()
		seen := map[uint64]bool{}
		for err == nil && at != 0 && !seen[at] && len(seen) < maxExtensions {
			seen[at] = true
			o := d.sys.Struct("_IO_CLIENT_EXTENSION", at)
			id, ierr := o.Field("ClientIdentificationAddress").Uint()
			if ierr != nil || !yield(id, at+t.Size) {
				return
			}
			at, err = o.Field("NextExtension").Uint()
		}
	}
}
