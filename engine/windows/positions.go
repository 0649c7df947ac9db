package windows

import (
	"fmt"

	"kdap/engine/memory"
)

// Where things lie that only symbols name, found without symbols: by the KDBG,
// the dump's header, or by what they hold.

// position returns the address of a variable of the kernel that its symbols,
// if there are any, do not name.
func (s *System) position(name string) (uint64, bool) {
	k := s.offsets()
	h := s.dump.Header
	var addr uint64
	switch name {
	case "PsActiveProcessHead":
		addr = k.PsActiveProcessHead
		if addr == 0 {
			addr = h.PsActiveProcessHead
		}
	case "PsLoadedModuleList":
		addr = k.PsLoadedModuleList
		if addr == 0 {
			addr = h.PsLoadedModuleList
		}
	case "PspCidTable":
		addr = k.PspCidTable
	case "KiProcessorBlock":
		addr = k.KiProcessorBlock
	case "MmUnloadedDrivers":
		addr = k.MmUnloadedDrivers
	case "MmLastUnloadedDriver":
		addr = k.MmLastUnloadedDriver
	case "ObpTypeObjectType":
		addr = k.ObpTypeObjectType
	case "ObpRootDirectoryObject":
		addr = k.ObpRootDirectory
	case "NtBuildLabEx":
		addr = k.NtBuildLab
	case "KiInitialProcess":
		addr = s.idleOwner()
	case "ObTypeIndexTable":
		addr = s.findTypeTable()
	}
	return addr, addr != 0
}

// idleOwner returns the process of the first processor's idle thread.
func (s *System) idleOwner() uint64 {
	c, err := s.Processor(0)
	if err != nil {
		return 0
	}
	idle, err := c.IdleThread()
	if err != nil || idle == 0 {
		return 0
	}
	t := s.Thread(idle)
	if !t.IsThread() {
		return 0
	}
	owner, err := t.tcb("Process").Uint()
	if err != nil || !s.Process(owner).IsProcess() {
		return 0
	}
	return owner
}

// typeOfTypes is the index of the object type "Type": the first in the table
// of types, behind null and a marker.
const typeOfTypes = 2

// findTypeTable looks for nt!ObTypeIndexTable in the kernel's data: an array
// with a null, a marker, then the type of types, which nt!ObpTypeObjectType
// points at, and the type with index 3.
func (s *System) findTypeTable() uint64 {
	first := s.typeObject()
	if first == 0 || s.nt == nil {
		return 0
	}
	img, err := s.nt.Image()
	if err != nil {
		return 0
	}
	page := make([]byte, memory.PageSize)
	for _, sec := range img.Sections {
		if sec.Characteristics&scnWrite == 0 {
			continue
		}
		size := min(uint64(max(sec.VirtualSize, sec.SizeOfRawData)), uint64(img.SizeOfImage))
		start := s.nt.Base + uint64(sec.VirtualAddress)
		for at := start; at < start+size; at += memory.PageSize {
			n, _ := s.kernel.Read(at, page)
			for off := 0; off+8 <= n; off += 8 {
				if le64(page[off:]) == first && s.isTypeTable(at+uint64(off)-8*typeOfTypes) {
					return at + uint64(off) - 8*typeOfTypes
				}
			}
		}
	}
	return 0
}

const scnWrite = 0x80000000 // IMAGE_SCN_MEM_WRITE

func (s *System) isTypeTable(table uint64) bool {
	if v, err := memory.ReadUint(s.kernel, table, 8); err != nil || v != 0 {
		return false
	}
	for i := uint64(typeOfTypes); i < typeOfTypes+2; i++ {
		ptr, err := memory.ReadUint(s.kernel, table+8*i, 8)
		if err != nil {
			return false
		}
		if index, err := s.Struct("_OBJECT_TYPE", ptr).Field("Index").Uint(); err != nil || index != i {
			return false
		}
	}
	return true
}

// typeObject returns the object type of object types.
func (s *System) typeObject() uint64 {
	at, err := s.Symbol("ObpTypeObjectType")
	if err != nil {
		return 0
	}
	v, err := memory.ReadUint(s.kernel, at, 8)
	if err != nil {
		return 0
	}
	return v
}

// headerCookie returns the byte that the type indices of object headers are
// encoded with: nt!ObHeaderCookie or, where symbols do not name it, what the
// header of the type of types shows. Kernels before Windows 10 have none, which
// their symbols tell.
func (s *System) headerCookie() (cookie uint64, encoded bool, err error) {
	if addr, err := s.Symbol("ObHeaderCookie"); err == nil {
		c, err := memory.ReadUint(s.kernel, addr, 1)
		return c, true, err
	}
	if s.profile == nil {
		return 0, false, nil
	}
	header := s.ObjectAt(s.typeObject()).header
	index, err := header.Field("TypeIndex").Uint()
	if err != nil {
		return 0, true, fmt.Errorf("the cookie of object headers: %w", err)
	}
	return index ^ typeOfTypes ^ header.Addr()>>8&0xff, true, nil
}
