package analyze

import (
	"strings"

	"kdap/engine/memory"
	"kdap/engine/windows"
)

// poolBlock says which parameter has the address of the block, by bug check
// and kind.
func poolBlock(b *BugCheck) uint64 {
	switch b.Plain() {
	case 0x19:
		return b.param(2)
	case 0xc2:
		switch b.param(1) {
		case 0x7, 0x9:
			return b.param(4)
		case 0x0, 0x8, 0x9a, 0x9b, 0x9c, 0x9d:
			return 0
		}
		return b.param(2)
	}
	return 0
}

// examinePool shows the block of pool that the bug check is about.
func examinePool(x *examiner) {
	at := poolBlock(&x.r.BugCheck)
	if at == 0 {
		return
	}
	text := x.use(at)
	if text == "" {
		text = "of no known use"
	}
	x.detail("POOL_ADDRESS", "%016x %s", at, text)
	header := at - poolHeaderSize
	if x.r.Plain() == 0x19 {
		header = at // the parameters name the header itself
	}
	if tag := x.poolTag(header); tag != "" {
		x.detail("FREED_POOL_TAG", "%s", tag)
		x.r.PoolTag = tag
	}
}

const poolHeaderSize = 0x10

// poolTag reads the tag of a _POOL_HEADER, "" for what is no text.
func (x *examiner) poolTag(header uint64) string {
	v, err := x.sys.Struct("_POOL_HEADER", header).Field("PoolTag").Uint()
	if err != nil {
		return ""
	}
	var b strings.Builder
	for i := range 4 {
		c := byte(v >> (8 * i))
		if c < 0x20 || c > 0x7e {
			return ""
		}
		b.WriteByte(c)
	}
	return b.String()
}

// examineReference shows the object whose references do not add up.
func examineReference(x *examiner) {
	at := x.arg(2)
	if at == 0 {
		return
	}
	o := x.sys.ObjectAt(at)
	text := ""
	if t, err := o.TypeName(); err == nil {
		text = " (type " + t + ")"
	}
	x.detail("OBJECT_ADDRESS", "%016x%s", at, text)
	pointers, err := o.PointerCount()
	handles, herr := o.HandleCount()
	if err == nil && herr == nil {
		x.detail("OBJECT_COUNTS", "%d references, %d handles", pointers, handles)
	}
}

// examineVerifier: names the driver that Driver Verifier found out, where it
// passes it.
func examineVerifier(x *examiner) {
	const leak, firstLeak = 0x62, 0x60
	switch x.arg(1) {
	case leak, firstLeak, 0x61:
		name := x.text(x.arg(2))
		if s, err := x.unicode(x.arg(2)); err == nil && s != "" {
			name = s
		}
		if name != "" {
			x.detail("DRIVER_NAME", "%s", name)
			for _, m := range x.modules.All() {
				if strings.EqualFold(m.ImageName, name) {
					x.blameModule(m.Base, "Driver Verifier names it")
				}
			}
		}
	case 0xf6:
		x.blameModule(x.arg(4), "Driver Verifier names it")
	case 0x9b, 0x9c, 0x9d:
		x.blameModule(x.arg(4), "Driver Verifier names it")
	}
}

// unicode reads a UNICODE_STRING.
func (x *examiner) unicode(at uint64) (string, error) {
	return x.sys.Struct("_UNICODE_STRING", at).UnicodeString()
}

func examineHeap(x *examiner) {
	x.detail("CORRUPTING_POOL_ADDRESS", "%016x %s", x.arg(3), x.use(x.arg(3)))
}

// examinePage: the hardware changed a page.
func examinePage(x *examiner) {
	x.detail("PHYSICAL_PAGE", "%x", x.arg(2))
	if _, err := memory.ReadUint(x.space, x.arg(1), 8); err == nil {
		x.detail("MAPPED_AT", "%016x", x.arg(1))
	}
	x.r.hardware = true
}

// driverModule returns the module that holds a driver's code.
func (x *examiner) driverModule(driver uint64) *windows.Module {
	d := x.sys.Driver(driver)
	start, err := d.Start()
	if err != nil {
		return nil
	}
	return x.modules.Find(start)
}
