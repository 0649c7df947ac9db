package windows

import (
	"context"
	"fmt"
	"iter"

	"kdap/engine/types"
)

// A Request is a view over one _IRP.
type Request struct {
	sys *System
	obj types.Object
}

// Request returns the view over the _IRP at addr.
func (s *System) Request(addr uint64) Request { return Request{s, s.Struct("_IRP", addr)} }

// Addr returns the address of the _IRP.
func (r Request) Addr() uint64 { return r.obj.Addr() }

// Object returns the _IRP itself.
func (r Request) Object() types.Object { return r.obj }

// IsRequest reports whether the object says that it is an IRP, with locations
// that fit into it.
func (r Request) IsRequest() bool {
	if !isIOType(r.obj, ioTypeIRP) {
		return false
	}
	n, err := r.StackCount()
	return err == nil && n >= 0
}

// StackCount returns the number of the request's stack locations.
func (r Request) StackCount() (int64, error) { return r.obj.Field("StackCount").Int() }

// CurrentLocation returns the number of the current location, counted from 1
// for the lowest driver; StackCount+1 and more for a completed request.
func (r Request) CurrentLocation() (int64, error) { return r.obj.Field("CurrentLocation").Int() }

// Thread returns the address of the thread that issued the request, 0 for none.
func (r Request) Thread() (uint64, error) { return r.obj.Field("Tail.Overlay.Thread").Uint() }

// MDL returns the address of the request's memory descriptor list, 0 for none.
func (r Request) MDL() (uint64, error) { return r.obj.Field("MdlAddress").Uint() }

// SystemBuffer returns the address of the request's system buffer, 0 for none.
func (r Request) SystemBuffer() (uint64, error) {
	return r.obj.Field("AssociatedIrp.SystemBuffer").Uint()
}

// File returns the address of the file the request was made for, 0 for none.
func (r Request) File() (uint64, error) {
	return r.obj.Field("Tail.Overlay.OriginalFileObject").Uint()
}

// A StackLocation is what one _IO_STACK_LOCATION of a request says.
type StackLocation struct {
	Addr                uint64
	Major, Minor        uint64
	Flags, Control      uint64
	Device, File        uint64
	Completion, Context uint64
	Args                [4]uint64 // Parameters.Others
	unwritten           bool
}

// Bits of StackLocation.Control (SL_* of wdm.h).
const (
	LocationPending = 0x01
	InvokeOnCancel  = 0x20
	InvokeOnSuccess = 0x40
	InvokeOnError   = 0x80
)

// Unused reports whether no driver has filled in the location.
func (l StackLocation) Unused() bool { return l.unwritten }

// Location reads stack location n, counted from 1.
func (r Request) Location(n int64) (StackLocation, error) {
	irp, err := r.sys.Type("_IRP")
	if err != nil {
		return StackLocation{}, err
	}
	t, err := r.sys.Type("_IO_STACK_LOCATION")
	if err != nil {
		return StackLocation{}, err
	}
	count, err := r.StackCount()
	if err == nil && (n < 1 || n > count) {
		err = fmt.Errorf("IRP %#x has no stack location %d", r.Addr(), n)
	}
	if err != nil {
		return StackLocation{}, err
	}
	o := r.sys.Struct("_IO_STACK_LOCATION", r.Addr()+irp.Size+uint64(n-1)*t.Size)
	l := StackLocation{Addr: o.Addr()}
	read := func(to *uint64, field string) {
		if err == nil {
			*to, err = o.Field(field).Uint()
		}
	}
	read(&l.Major, "MajorFunction")
	read(&l.Minor, "MinorFunction")
	read(&l.Flags, "Flags")
	read(&l.Control, "Control")
	read(&l.Device, "DeviceObject")
	read(&l.File, "FileObject")
	read(&l.Completion, "CompletionRoutine")
	read(&l.Context, "Context")
	for i := range l.Args {
		read(&l.Args[i], fmt.Sprintf("Parameters.Others.Argument%d", i+1))
	}
	l.unwritten = l == StackLocation{Addr: l.Addr}
	return l, err
}

// Current reads the current stack location; false for a completed request.
func (r Request) Current() (StackLocation, bool, error) {
	n, err := r.CurrentLocation()
	count, cerr := r.StackCount()
	if err != nil || cerr != nil || n < 1 || n > count {
		return StackLocation{}, false, err
	}
	l, err := r.Location(n)
	return l, err == nil, err
}

// Requests yields the requests that threads have under way, process by
// process, then those that files and devices list.
func (s *System) Requests(ctx context.Context) iter.Seq2[Request, error] {
	return func(yield func(Request, error) bool) {
		seen := map[uint64]bool{}
		for p, err := range s.Processes(ctx) {
			if err != nil {
				if !yield(Request{}, err) {
					return
				}
				continue
			}
			for t, err := range p.Threads(ctx) {
				if err != nil {
					if !yield(Request{}, err) {
						return
					}
					break
				}
				for irp, err := range t.IRPs(ctx) {
					if err == nil && seen[irp.Addr] {
						continue
					}
					seen[irp.Addr] = true
					if !yield(s.Request(irp.Addr), err) {
						return
					}
				}
			}
		}
		for d, err := range s.Devices(ctx) {
			if err != nil {
				continue // what is wrong with devices, their own listing tells
			}
			at, err := d.CurrentIRP()
			if err != nil || at == 0 || seen[at] {
				continue
			}
			seen[at] = true
			if r := s.Request(at); r.IsRequest() && !yield(r, nil) {
				return
			}
		}
	}
}

// minorFunctions are the names of wdm.h and ntifs.h, by major function.
var minorFunctions = map[uint64][]string{
	0x0c: {1: "IRP_MN_QUERY_DIRECTORY", 2: "IRP_MN_NOTIFY_CHANGE_DIRECTORY", 3: "IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX"},
	0x0d: {
		"IRP_MN_USER_FS_REQUEST", "IRP_MN_MOUNT_VOLUME", "IRP_MN_VERIFY_VOLUME", "IRP_MN_LOAD_FILE_SYSTEM", "IRP_MN_KERNEL_CALL",
	},
	0x11: {1: "IRP_MN_LOCK", 2: "IRP_MN_UNLOCK_SINGLE", 3: "IRP_MN_UNLOCK_ALL", 4: "IRP_MN_UNLOCK_ALL_BY_KEY"},
	0x16: {"IRP_MN_WAIT_WAKE", "IRP_MN_POWER_SEQUENCE", "IRP_MN_SET_POWER", "IRP_MN_QUERY_POWER"},
	0x17: {
		"IRP_MN_QUERY_ALL_DATA", "IRP_MN_QUERY_SINGLE_INSTANCE", "IRP_MN_CHANGE_SINGLE_INSTANCE", "IRP_MN_CHANGE_SINGLE_ITEM",
		"IRP_MN_ENABLE_EVENTS", "IRP_MN_DISABLE_EVENTS", "IRP_MN_ENABLE_COLLECTION", "IRP_MN_DISABLE_COLLECTION",
		"IRP_MN_REGINFO", "IRP_MN_EXECUTE_METHOD", 11: "IRP_MN_REGINFO_EX",
	},
	0x1b: {
		"IRP_MN_START_DEVICE", "IRP_MN_QUERY_REMOVE_DEVICE", "IRP_MN_REMOVE_DEVICE", "IRP_MN_CANCEL_REMOVE_DEVICE",
		"IRP_MN_STOP_DEVICE", "IRP_MN_QUERY_STOP_DEVICE", "IRP_MN_CANCEL_STOP_DEVICE", "IRP_MN_QUERY_DEVICE_RELATIONS",
		"IRP_MN_QUERY_INTERFACE", "IRP_MN_QUERY_CAPABILITIES", "IRP_MN_QUERY_RESOURCES", "IRP_MN_QUERY_RESOURCE_REQUIREMENTS",
		"IRP_MN_QUERY_DEVICE_TEXT", "IRP_MN_FILTER_RESOURCE_REQUIREMENTS", 15: "IRP_MN_READ_CONFIG", 16: "IRP_MN_WRITE_CONFIG",
		17: "IRP_MN_EJECT", 18: "IRP_MN_SET_LOCK", 19: "IRP_MN_QUERY_ID", 20: "IRP_MN_QUERY_PNP_DEVICE_STATE",
		21: "IRP_MN_QUERY_BUS_INFORMATION", 22: "IRP_MN_DEVICE_USAGE_NOTIFICATION", 23: "IRP_MN_SURPRISE_REMOVAL",
		25: "IRP_MN_DEVICE_ENUMERATED",
	},
}

// MinorFunctionName returns the name of a minor function code, "" for none.
func MinorFunctionName(major, minor uint64) string {
	if names := minorFunctions[major]; minor < uint64(len(names)) {
		return names[minor]
	}
	return ""
}
