package windows

import (
	"errors"
	"fmt"

	"kdap/engine/memory"
)

// An Interrupt is one entry of a processor's interrupt descriptor table.
type Interrupt struct {
	Vector  int
	Present bool
	Handler uint64
	Stack   uint64            // from the interrupt stack table, 0 for none
	Objects []InterruptObject // devices that are connected to the vector
}

// An InterruptObject is what a _KINTERRUPT says.
type InterruptObject struct {
	Addr, Routine uint64
}

// idtEntry and idtVectors are the table's layout (AMD64 Architecture
// Programmer's Manual, volume 2, 4.8.3).
const (
	idtEntry   = 16
	idtVectors = 256
)

// descriptorTable returns the base of a table: as the registers had it, or as
// the processor's control region keeps it.
func (c Processor) descriptorTable(fromRegisters func() uint64, member string) (uint64, error) {
	if v := fromRegisters(); v != 0 {
		return v, nil
	}
	pcr, err := c.KPCR()
	if err != nil {
		return 0, err
	}
	v, err := c.sys.Struct("_KPCR", pcr).Field(member).Uint()
	if err == nil && v == 0 {
		err = fmt.Errorf("processor %d has no %s", c.number, member)
	}
	return v, err
}

// IDT returns the base of the processor's interrupt descriptor table.
func (c Processor) IDT() (uint64, error) {
	return c.descriptorTable(func() uint64 {
		if r, err := c.SpecialRegisters(); err == nil {
			return r.IDTR.Base
		}
		return 0
	}, "IdtBase")
}

// GDT returns the base of the processor's global descriptor table.
func (c Processor) GDT() (uint64, error) {
	return c.descriptorTable(func() uint64 {
		if r, err := c.SpecialRegisters(); err == nil {
			return r.GDTR.Base
		}
		return 0
	}, "GdtBase")
}

// Interrupt reads the entry for a vector of the table at base.
func (c Processor) Interrupt(base uint64, vector int) (Interrupt, error) {
	in := Interrupt{Vector: vector}
	b, err := memory.ReadBytes(c.sys.Kernel(), base+idtEntry*uint64(vector), idtEntry)
	if err != nil {
		return in, err
	}
	in.Present = b[5]&0x80 != 0
	in.Handler = uint64(le16(b)) | uint64(le16(b[6:]))<<16 | uint64(le32(b[8:]))<<32
	if ist := int(b[4] & 7); ist != 0 {
		in.Stack = c.interruptStack(ist)
	}
	object, err := c.interruptObject(vector, in.Handler)
	if err != nil || object == 0 {
		return in, err
	}
	in.Objects, err = c.sys.connected(object)
	return in, err
}

func (c Processor) interruptStack(ist int) uint64 {
	pcr, err := c.KPCR()
	if err != nil {
		return 0
	}
	v, _ := c.sys.Struct("_KPCR", pcr).Field("TssBase").Deref().Field("Ist").Index(ist).Uint()
	return v
}

// interruptObject returns the _KINTERRUPT of a vector, 0 for none: the
// processor lists them; before Windows 10 the handler is code inside the object.
func (c Processor) interruptObject(vector int, handler uint64) (uint64, error) {
	if list := c.prcb.Field("InterruptObject"); list.Err() == nil {
		return list.Index(vector).Uint()
	}
	t, err := c.sys.Type("_KINTERRUPT")
	if err != nil {
		return 0, nil
	}
	code := t.Field("DispatchCode")
	if code == nil || handler < code.Offset {
		return 0, nil
	}
	at := handler - code.Offset
	if kind, err := c.sys.Struct("_KINTERRUPT", at).Field("Type").Uint(); err != nil || kind != interruptObjectType {
		return 0, nil // a handler of the kernel itself
	}
	return at, nil
}

// interruptObjectType is the number of interrupt objects in _KOBJECTS.
const interruptObjectType = 22

// maxConnected bounds the devices that share one vector.
const maxConnected = 256

// connected returns the interrupt objects of the ring that at is in.
func (s *System) connected(at uint64) ([]InterruptObject, error) {
	t, err := s.Type("_KINTERRUPT")
	if err != nil {
		return nil, err
	}
	link := t.Field("InterruptListEntry")
	if link == nil {
		return nil, errors.New("_KINTERRUPT has no InterruptListEntry")
	}
	var list []InterruptObject
	seen := map[uint64]bool{}
	for next := at; !seen[next] && len(list) < maxConnected; {
		seen[next] = true
		o := s.Struct("_KINTERRUPT", next)
		routine, err := o.Field("ServiceRoutine").Uint()
		if err != nil {
			return list, err
		}
		if m, err := o.Field("MessageServiceRoutine").Uint(); err == nil && m != 0 {
			routine = m // what the device's driver gave
		}
		list = append(list, InterruptObject{next, routine})
		flink, err := o.Field("InterruptListEntry.Flink").Uint()
		if err != nil || flink < link.Offset {
			return list, err
		}
		next = flink - link.Offset
	}
	return list, nil
}

// A Segment is one descriptor of the global descriptor table.
type Segment struct {
	Selector    uint64
	Base, Limit uint64
	Access      uint8 // bits 40 to 47 of the descriptor
	Flags       uint8 // bits 52 to 55: available, long, default size, granularity
}

// Bits of Segment (AMD64 Architecture Programmer's Manual, volume 2, 4.7 and 4.8).
const (
	SegmentPresent  = 0x80 // Access
	SegmentNotGate  = 0x10 // Access: code or data
	SegmentCode     = 0x08 // Access
	SegmentReadable = 0x02 // Access: code that can be read, data that can be written
	SegmentAccessed = 0x01 // Access
	SegmentLong     = 0x2  // Flags
	SegmentBig      = 0x4  // Flags
	SegmentPages    = 0x8  // Flags
)

// Privilege returns the descriptor's privilege level.
func (g Segment) Privilege() uint8 { return g.Access >> 5 & 3 }

// Segment reads the descriptor of a selector from the table at base. System
// descriptors have 64 bits of base.
func (c Processor) Segment(base, selector uint64) (Segment, error) {
	g := Segment{Selector: selector}
	b, err := memory.ReadBytes(c.sys.Kernel(), base+selector&^7, 8)
	if err != nil {
		return g, err
	}
	g.Access, g.Flags = b[5], b[6]>>4
	g.Base = uint64(b[2]) | uint64(b[3])<<8 | uint64(b[4])<<16 | uint64(b[7])<<24
	g.Limit = uint64(le16(b)) | uint64(b[6]&0xf)<<16
	if g.Flags&SegmentPages != 0 {
		g.Limit = g.Limit<<memory.PageShift | (memory.PageSize - 1)
	}
	if g.Access&SegmentNotGate == 0 && g.Access&SegmentPresent != 0 {
		high, err := memory.ReadUint(c.sys.Kernel(), base+selector&^7+8, 4)
		if err != nil {
			return g, err
		}
		g.Base |= high << 32
	}
	return g, nil
}
