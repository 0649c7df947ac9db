package analyze

import (
	"fmt"

	"kdap/engine/windows"
)

// examinePower: who holds the power request, by the bug check's kind.
func examinePower(x *examiner) {
	kind := x.arg(1)
	x.detail("DRVPOWERSTATE_SUBCODE", "%x", kind)
	switch kind {
	case 1:
		x.blameDevice(x.arg(2))
	case 2:
		x.blameDevice(x.arg(3))
	case 3:
		x.blockedRequest(x.arg(2), x.arg(4))
	case 4:
		// The thread that holds the lock is the one to look at.
		if x.useThread(x.arg(3)) {
			x.r.threadWhy = "it holds the lock of Plug and Play"
		}
	case 5:
		x.blameDevice(x.arg(2))
	}
}

// blameDevice blames the driver of a device.
func (x *examiner) blameDevice(device uint64) {
	if device == 0 {
		return
	}
	x.detail("DEVICE_OBJECT", "%016x", device)
	d := x.sys.Device(device)
	driver, err := d.Driver()
	if err != nil || driver == 0 {
		x.missing(fmt.Sprintf("driver of device %#x", device), orUnknown(err))
		return
	}
	x.blameDriver(driver, "it owns the device that did not complete the request")
}

func (x *examiner) blameDriver(driver uint64, why string) {
	x.detail("DRIVER_OBJECT", "%016x", driver)
	if name, err := x.sys.Driver(driver).Name(); err == nil {
		x.detail("DRIVER_NAME", "%s", name)
	}
	if m := x.driverModule(driver); m != nil {
		x.blameModule(m.Base, why)
	}
}

// blockedRequest finds the driver whose stack location of a request is the
// current one: it has the request and has not passed it on.
func (x *examiner) blockedRequest(pdo, irp uint64) {
	if pdo != 0 {
		x.detail("PHYSICAL_DEVICE_OBJECT", "%016x", pdo)
		x.deviceStack(pdo)
		x.deviceInstance(pdo)
	}
	if irp == 0 {
		return
	}
	x.detail("IRP_ADDRESS", "%016x", irp)
	r := x.sys.Request(irp)
	l, ok, err := r.Current()
	if !ok && l.Device == 0 {
		x.missing(fmt.Sprintf("current location of request %#x", irp), orUnknown(err))
		x.suspectOfStack(pdo)
		return
	}
	x.detail("IRP_FUNCTION", "%s", windows.MinorFunctionName(l.Major, l.Minor))
	if l.Device == 0 {
		x.suspectOfStack(pdo)
		return
	}
	x.detail("DEVICE_OBJECT", "%016x", l.Device)
	driver, err := x.sys.Device(l.Device).Driver()
	if err != nil || driver == 0 {
		x.missing(fmt.Sprintf("driver of device %#x", l.Device), orUnknown(err))
		return
	}
	x.blameDriver(driver, "the blocked request is in its hands")
	if t, err := r.Thread(); err == nil && t != 0 {
		x.detail("IRP_THREAD", "%016x", t)
	}
}

// suspectOfStack blames the device's own driver when the request does not tell.
func (x *examiner) suspectOfStack(pdo uint64) {
	driver, err := x.sys.Device(pdo).Driver()
	if err != nil || driver == 0 {
		return
	}
	if m := x.driverModule(driver); m != nil {
		x.suspect(m.Base, "it owns the physical device; which driver of its stack has the request the dump does not tell")
	}
}

// deviceStack tells the drivers of a device's stack, the top first.
func (x *examiner) deviceStack(pdo uint64) {
	stack, err := x.sys.Device(pdo).Stack()
	if err != nil {
		x.missing(fmt.Sprintf("device stack of %#x", pdo), err)
	}
	text := ""
	for _, d := range stack {
		name, err := d.DriverName()
		if err != nil || name == "" {
			name = "?"
		}
		text += fmt.Sprintf("\n    %016x  %s", d.Addr(), name)
	}
	if text != "" {
		x.detail("DEVICE_STACK", "%s", text)
	}
}

// deviceInstance tells which device it is, by its node.
func (x *examiner) deviceInstance(pdo uint64) {
	node, err := x.sys.Device(pdo).Node()
	if err != nil || node == 0 {
		return
	}
	o := x.sys.Struct("_DEVICE_NODE", node)
	for _, m := range [][2]string{{"DEVICE_INSTANCE", "InstancePath"}, {"DEVICE_SERVICE", "ServiceName"}} {
		if s, err := o.Field(m[1]).UnicodeString(); err == nil && s != "" {
			x.detail(m[0], "%s", s)
		}
	}
}

// examinePnPWatchdog: a thread of Plug and Play did not come back.
func examinePnPWatchdog(x *examiner) {
	if x.useThread(x.arg(3)) {
		x.r.threadWhy = "it works for Plug and Play and did not come back"
	}
}
