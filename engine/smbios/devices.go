package smbios

import "fmt"

// A MemoryDevice is one slot for memory (type 17).
type MemoryDevice struct {
	Locator, Bank                    string
	Size                             uint64 // bytes, 0 for an empty slot
	Unknown                          bool   // the size is not known
	Speed                            uint16 // MHz
	Manufacturer, Serial, PartNumber string
	Type                             uint8
}

// MemoryDevice decodes a structure of type 17.
func (s Structure) MemoryDevice() (m MemoryDevice, ok bool) {
	size, ok := s.Word(0xc)
	if s.Type != TypeMemoryDevice || !ok {
		return m, false
	}
	switch {
	case size == 0xffff:
		m.Unknown = true
	case size == 0x7fff:
		v, _ := s.Dword(0x1c)
		m.Size = uint64(v&0x7fffffff) << 20
	case size&0x8000 != 0:
		m.Size = uint64(size&0x7fff) << 10
	default:
		m.Size = uint64(size) << 20
	}
	m.Locator, _ = s.Text(0x10)
	m.Bank, _ = s.Text(0x11)
	m.Type, _ = s.Byte(0x12)
	m.Speed, _ = s.Word(0x15)
	m.Manufacturer, _ = s.Text(0x17)
	m.Serial, _ = s.Text(0x18)
	m.PartNumber, _ = s.Text(0x1a)
	return m, true
}

func (m MemoryDevice) sizeText() string {
	switch {
	case m.Unknown:
		return "[Unknown]"
	case m.Size == 0:
		return "[Not Populated]"
	case m.Size%(1<<20) != 0:
		return fmt.Sprintf("%dKB", m.Size>>10)
	}
	return fmt.Sprintf("%dMB", m.Size>>20)
}

// A Processor is one socket (type 4).
type Processor struct {
	Socket, Manufacturer, Version string
	MaxSpeed, CurrentSpeed        uint16 // MHz
}

// Processor decodes a structure of type 4.
func (s Structure) Processor() (p Processor, ok bool) {
	p.MaxSpeed, ok = s.Word(0x14)
	if s.Type != TypeProcessor || !ok {
		return p, false
	}
	p.CurrentSpeed, _ = s.Word(0x16)
	p.Socket, _ = s.Text(4)
	p.Manufacturer, _ = s.Text(7)
	p.Version, _ = s.Text(0x10)
	return p, true
}
