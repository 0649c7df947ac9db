package command

import (
	"context"

	"kdap/engine/format"
	"kdap/engine/types"
)

func cmdFileobj() *Command {
	return &Command{
		Names: []string{"!fileobj"}, Args: "Address",
		Short: "show a file object",
		Run:   runFileobj,
	}
}

// fileFlags are FO_* of wdm.h in the debugger's words.
var fileFlags = maskNames{
	{0x1, "File Open"},
	{0x2, "Synchronous IO"},
	{0x4, "Alertable IO"},
	{0x8, "No Intermediate Buffering"},
	{0x10, "Write Through"},
	{0x20, "Sequential Only"},
	{0x40, "Cache Supported"},
	{0x80, "Named Pipe"},
	{0x100, "Stream File"},
	{0x200, "Mailslot"},
	{0x400, "Queue Irp to Thread"},
	{0x800, "Direct Device Open"},
	{0x1000, "File Modified"},
	{0x2000, "File Size Changed"},
	{0x8000, "Temporary File"},
	{0x10000, "Delete on Close"},
	{0x20000, "Opened Case Sensitive"},
	{0x40000, "Handle Created"},
	{0x80000, "Fast IO Read"},
	{0x100000, "Random Access"},
	{0x200000, "File Open Cancelled"},
	{0x400000, "Volume Open"},
	{0x1000000, "Remote Origin"},
	{0x2000000, "Skip Completion Port"},
	{0x4000000, "Skip Set Event"},
	{0x8000000, "Skip Set Fast IO"},
	{0x10000000, "Indirect Wait Object"},
	{0x20000000, "Section Minstore Treatment"},
}

func runFileobj(_ context.Context, s *Session, c *Call) error {
	if c.Args.Done() {
		return Failf("!fileobj: the address of a file object is missing")
	}
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	f := s.sys.FileObject(addr)
	o := f.Object()
	if !f.IsFile() {
		if _, err := o.Field("Type").Uint(); err != nil {
			s.notef("%v", err)
		}
		return Failf("%016x is not a file object", addr)
	}
	get := func(path string) uint64 {
		v, err := o.Field(path).Uint()
		if err != nil {
			s.notef("file object %x: %v", addr, err)
		}
		return v
	}
	if name := textOr(f.Name); name != "" {
		s.printf("%s\n\n", name)
	}
	if related := get("RelatedFileObject"); related != 0 {
		s.printf("Related File Object: 0x%016x\n\n", related)
	}
	s.showFileDevice(get("DeviceObject"))
	if vpb := get("Vpb"); vpb != 0 {
		s.printf("Vpb: 0x%016x\n", vpb)
	} else {
		s.printf("Vpb is NULL\n")
	}
	if state, err := o.Field("Event.Header.SignalState").Uint(); err == nil && state != 0 {
		s.printf("Event signalled\n")
	}
	s.showFileAccess(o)
	flags := get("Flags")
	s.printf("Flags:  0x%x\n", flags)
	for _, b := range fileFlags {
		if flags&b.bit != 0 {
			s.printf("\t%s\n", b.name)
		}
	}
	s.printf("\n")
	busy, waiters := get("Busy"), get("Waiters")
	if busy != 0 {
		s.printf("File Object is currently busy and has %d waiters.  \n\n", waiters)
	}
	s.printf("FsContext: %s\tFsContext2: %s\n", pointerPrefixed(get("FsContext")), pointerPrefixed(get("FsContext2")))
	if p := get("PrivateCacheMap"); p != 0 {
		s.printf("Private Cache Map: 0x%016x\n", p)
	}
	s.printf("CurrentByteOffset: %x\n", get("CurrentByteOffset.QuadPart"))
	if sections := get("SectionObjectPointer"); sections != 0 {
		s.showCacheData(o.Field("SectionObjectPointer").Deref(), sections)
	}
	return nil
}

func (s *Session) showFileDevice(addr uint64) {
	if addr == 0 {
		s.printf("Device Object: 00000000\n")
		return
	}
	s.printf("Device Object: 0x%016x   %s\n", addr, textOr(s.sys.Device(addr).DriverName))
}

func (s *Session) showFileAccess(o types.Object) {
	text := ""
	for _, member := range []struct{ name, word string }{
		{"ReadAccess", "Read"},
		{"WriteAccess", "Write"},
		{"DeleteAccess", "Delete"},
		{"SharedRead", "SharedRead"},
		{"SharedWrite", "SharedWrite"},
		{"SharedDelete", "SharedDelete"},
	} {
		if v, err := o.Field(member.name).Uint(); err == nil && v != 0 {
			text += member.word + " "
		}
	}
	if text != "" {
		s.printf("Access: %s\n", text)
	}
	s.printf("\n")
}

func (s *Session) showCacheData(o types.Object, addr uint64) {
	s.printf("Cache Data:\n  Section Object Pointers: %016x\n", addr)
	for _, member := range []struct{ name, label string }{
		{"SharedCacheMap", "Shared Cache Map"}, {"DataSectionObject", "Data Section Object"}, {"ImageSectionObject", "Image Section Object"},
	} {
		v, err := o.Field(member.name).Uint()
		if err != nil {
			s.notef("section object pointers %x: %v", addr, err)
			continue
		}
		if v != 0 || member.name == "SharedCacheMap" {
			s.printf("  %s: %s\n", member.label, pointer(v))
		}
	}
}

// pointerPrefixed spells an address with its prefix, a null pointer as 00000000.
func pointerPrefixed(v uint64) string {
	if v == 0 {
		return "00000000"
	}
	return "0x" + format.Hex16(v)
}

func cmdVpb() *Command {
	return &Command{
		Names: []string{"!vpb"}, Args: "Address",
		Short: "show a volume parameter block",
		Run:   runVpb,
	}
}

// volumeFlags are VPB_* of wdm.h.
var volumeFlags = maskNames{
	{0x1, "mounted"}, {0x2, "locked"}, {0x4, "persistent"}, {0x8, "remove pending"}, {0x10, "raw mount"}, {0x20, "direct writes allowed"},
}

func runVpb(_ context.Context, s *Session, c *Call) error {
	if c.Args.Done() {
		return Failf("!vpb: the address of a VPB is missing")
	}
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	o := s.sys.Struct("_VPB", addr)
	if t, err := o.Field("Type").Uint(); err != nil || t != ioTypeVPB {
		if err != nil {
			s.notef("%v", err)
		}
		return Failf("%016x is not a VPB", addr)
	}
	get := func(path string) uint64 {
		v, err := o.Field(path).Uint()
		if err != nil {
			s.notef("VPB %x: %v", addr, err)
		}
		return v
	}
	s.printf("Vpb at 0x%016x\n", addr)
	s.printf("Flags: 0x%x %s\n", get("Flags"), joinNames(volumeFlags.names(get("Flags"))))
	s.printf("DeviceObject: %s\n", pointerPrefixed(get("DeviceObject")))
	s.printf("RealDevice:   %s\n", pointerPrefixed(get("RealDevice")))
	s.printf("RefCount: %d\n", get("ReferenceCount"))
	n := get("VolumeLabelLength")
	b, err := o.Field("VolumeLabel").Bytes()
	if err != nil {
		s.notef("VPB %x: %v", addr, err)
	} else {
		s.printf("Volume Label: %s\n", visible(types.UTF16(b[:min(int(n), len(b))])))
	}
	return nil
}

// ioTypeVPB is the Type of a _VPB (IO_TYPE_VPB of wdm.h).
const ioTypeVPB = 10
