package windows

// A PageProtection is the memory manager's number for the rights of a page, the
// five bits that VADs and entries of page tables carry: three of access, and
// two that change the caching or make it a guard page.
type PageProtection uint8

// Rights, the lower three bits of a protection.
const (
	protectReadOnly         = 1
	protectExecuteRead      = 3
	protectReadWrite        = 4
	protectWriteCopy        = 5
	protectExecuteReadWrite = 6
	protectExecuteWriteCopy = 7
)

// The parts of a protection.
const (
	protectAccess       = 7
	protectNoCache      = 0x08
	protectGuard        = 0x10
	protectWriteCombine = protectNoCache | protectGuard
)

// Names in the words of VirtualProtect, without PAGE_.
var protectionNames = [8]string{
	"NO_ACCESS", "READONLY", "EXECUTE", "EXECUTE_READ", "READWRITE", "WRITECOPY", "EXECUTE_READWRITE", "EXECUTE_WRITECOPY",
}

// Win32 constants of the same (winnt.h), the order as above.
var protectionFlags = [8]uint32{0x01, 0x02, 0x10, 0x20, 0x04, 0x08, 0x40, 0x80}

// Modifiers of winnt.h.
const (
	pageGuard        = 0x100
	pageNoCache      = 0x200
	pageWriteCombine = 0x400
)

// modifier returns the caching part. Without access it means nothing by itself:
// the combination stands for a page that must not be touched.
func (p PageProtection) modifier() PageProtection { return p & protectWriteCombine }

// String returns the rights in Win32's words, "EXECUTE_READ" or
// "READWRITE|GUARD".
func (p PageProtection) String() string {
	name := protectionNames[p&protectAccess]
	if p&protectAccess == 0 {
		return name
	}
	switch p.modifier() {
	case protectNoCache:
		return name + "|NOCACHE"
	case protectGuard:
		return name + "|GUARD"
	case protectWriteCombine:
		return name + "|WRITECOMBINE"
	}
	return name
}

// Flags returns the rights as Win32's PAGE_ constants.
func (p PageProtection) Flags() uint32 {
	f := protectionFlags[p&protectAccess]
	if p&protectAccess == 0 {
		return f
	}
	switch p.modifier() {
	case protectNoCache:
		f |= pageNoCache
	case protectGuard:
		f |= pageGuard
	case protectWriteCombine:
		f |= pageWriteCombine
	}
	return f
}
