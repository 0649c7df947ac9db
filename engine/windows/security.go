package windows

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"kdap/engine/memory"
)

// Security structures are the same in all versions and have public layouts:
// SID, ACL, ACE_HEADER and SECURITY_DESCRIPTOR of winnt.h ("[MS-DTYP]" 2.4.2 to
// 2.4.6). They are read as bytes, because user modules and pool hold them too.

// A SID is a security identifier in its text form, "S-1-5-18".
type SID string

// maxSubAuthorities is SID_MAX_SUB_AUTHORITIES.
const maxSubAuthorities = 15

// ReadSID reads the SID at addr.
func ReadSID(space memory.Space, addr uint64) (SID, error) {
	head, err := memory.ReadBytes(space, addr, 8)
	if err != nil {
		return "", err
	}
	if head[0] != 1 || head[1] > maxSubAuthorities {
		return "", fmt.Errorf("no SID at %#x: revision %d, %d parts", addr, head[0], head[1])
	}
	rest, err := memory.ReadBytes(space, addr+8, 4*int(head[1]))
	if err != nil {
		return "", err
	}
	return parseSID(append(head, rest...))
}

var errShortSID = errors.New("the SID is cut off")

// parseSID decodes the SID at the beginning of b.
func parseSID(b []byte) (SID, error) {
	if len(b) < 8 || b[0] != 1 || b[1] > maxSubAuthorities || len(b) < 8+4*int(b[1]) {
		return "", errShortSID
	}
	var authority uint64
	for _, c := range b[2:8] {
		authority = authority<<8 | uint64(c)
	}
	var text strings.Builder
	text.WriteString("S-1-")
	if authority >= 1<<32 {
		fmt.Fprintf(&text, "%#x", authority)
	} else {
		text.WriteString(strconv.FormatUint(authority, 10))
	}
	for i := range int(b[1]) {
		fmt.Fprintf(&text, "-%d", le32(b[8+4*i:]))
	}
	return SID(text.String()), nil
}

// Account returns the kind and name of an account that is the same on every
// machine; false for one that only its own machine knows.
func (s SID) Account() (kind, name string, ok bool) {
	a, ok := wellKnownSIDs[s]
	return a.kind, a.name, ok
}

type account struct{ kind, name string }

// wellKnownSIDs are the identifiers of "[MS-DTYP]" 2.4.2.4 that processes hold.
var wellKnownSIDs = map[SID]account{
	"S-1-0-0":      {"Well Known Group", `localhost\NULL SID`},
	"S-1-1-0":      {"Well Known Group", `localhost\Everyone`},
	"S-1-2-0":      {"Well Known Group", `localhost\LOCAL`},
	"S-1-2-1":      {"Well Known Group", `localhost\CONSOLE LOGON`},
	"S-1-3-0":      {"Well Known Group", `localhost\CREATOR OWNER`},
	"S-1-3-1":      {"Well Known Group", `localhost\CREATOR GROUP`},
	"S-1-3-4":      {"Well Known Group", `localhost\OWNER RIGHTS`},
	"S-1-5-1":      {"Well Known Group", `NT AUTHORITY\DIALUP`},
	"S-1-5-2":      {"Well Known Group", `NT AUTHORITY\NETWORK`},
	"S-1-5-3":      {"Well Known Group", `NT AUTHORITY\BATCH`},
	"S-1-5-4":      {"Well Known Group", `NT AUTHORITY\INTERACTIVE`},
	"S-1-5-6":      {"Well Known Group", `NT AUTHORITY\SERVICE`},
	"S-1-5-7":      {"Well Known Group", `NT AUTHORITY\ANONYMOUS LOGON`},
	"S-1-5-10":     {"Well Known Group", `NT AUTHORITY\SELF`},
	"S-1-5-11":     {"Well Known Group", `NT AUTHORITY\Authenticated Users`},
	"S-1-5-12":     {"Well Known Group", `NT AUTHORITY\RESTRICTED`},
	"S-1-5-13":     {"Well Known Group", `NT AUTHORITY\TERMINAL SERVER USER`},
	"S-1-5-14":     {"Well Known Group", `NT AUTHORITY\REMOTE INTERACTIVE LOGON`},
	"S-1-5-15":     {"Well Known Group", `NT AUTHORITY\This Organization`},
	"S-1-5-18":     {"Well Known Group", `NT AUTHORITY\SYSTEM`},
	"S-1-5-19":     {"Well Known Group", `NT AUTHORITY\LOCAL SERVICE`},
	"S-1-5-20":     {"Well Known Group", `NT AUTHORITY\NETWORK SERVICE`},
	"S-1-5-33":     {"Well Known Group", `NT AUTHORITY\WRITE RESTRICTED`},
	"S-1-5-113":    {"Well Known Group", `NT AUTHORITY\Local account`},
	"S-1-5-114":    {"Well Known Group", `NT AUTHORITY\Local account and member of Administrators group`},
	"S-1-5-64-10":  {"Well Known Group", `NT AUTHORITY\NTLM Authentication`},
	"S-1-5-80-0":   {"Well Known Group", `NT SERVICE\ALL SERVICES`},
	"S-1-5-32-544": {"Alias", `BUILTIN\Administrators`},
	"S-1-5-32-545": {"Alias", `BUILTIN\Users`},
	"S-1-5-32-546": {"Alias", `BUILTIN\Guests`},
	"S-1-5-32-547": {"Alias", `BUILTIN\Power Users`},
	"S-1-5-32-551": {"Alias", `BUILTIN\Backup Operators`},
	"S-1-5-32-555": {"Alias", `BUILTIN\Remote Desktop Users`},
	"S-1-5-32-556": {"Alias", `BUILTIN\Network Configuration Operators`},
	"S-1-5-32-558": {"Alias", `BUILTIN\Performance Monitor Users`},
	"S-1-5-32-559": {"Alias", `BUILTIN\Performance Log Users`},
	"S-1-5-32-568": {"Alias", `BUILTIN\IIS_IUSRS`},
	"S-1-5-32-573": {"Alias", `BUILTIN\Event Log Readers`},
	"S-1-15-2-1":   {"Well Known Group", `APPLICATION PACKAGE AUTHORITY\ALL APPLICATION PACKAGES`},
	"S-1-15-2-2":   {"Well Known Group", `APPLICATION PACKAGE AUTHORITY\ALL RESTRICTED APPLICATION PACKAGES`},
	"S-1-16-0":     {"Label", `Mandatory Label\Untrusted Mandatory Level`},
	"S-1-16-4096":  {"Label", `Mandatory Label\Low Mandatory Level`},
	"S-1-16-8192":  {"Label", `Mandatory Label\Medium Mandatory Level`},
	"S-1-16-8448":  {"Label", `Mandatory Label\Medium Plus Mandatory Level`},
	"S-1-16-12288": {"Label", `Mandatory Label\High Mandatory Level`},
	"S-1-16-16384": {"Label", `Mandatory Label\System Mandatory Level`},
	"S-1-16-20480": {"Label", `Mandatory Label\Protected Process Mandatory Level`},
}

// An ACL is an access control list.
type ACL struct {
	Revision, Sbz1       uint8
	Size, AceCount, Sbz2 uint16
	Entries              []ACE
}

// An ACE is one entry of an ACL.
type ACE struct {
	Type, Flags uint8
	Size        uint16
	Mask        uint32
	SID         SID   // "" where the type has none
	Err         error // why SID could not be read
}

const (
	aclHeaderSize = 8
	aceHeaderSize = 4
)

// ReadACL reads the ACL at addr. With an error it returns the entries before it.
func ReadACL(space memory.Space, addr uint64) (ACL, error) {
	head, err := memory.ReadBytes(space, addr, aclHeaderSize)
	if err != nil {
		return ACL{}, err
	}
	a := ACL{Revision: head[0], Sbz1: head[1], Size: le16(head[2:]), AceCount: le16(head[4:]), Sbz2: le16(head[6:])}
	if a.Revision == 0 || a.Revision > 4 || a.Size < aclHeaderSize {
		return a, fmt.Errorf("no ACL at %#x: revision %d, size %d", addr, a.Revision, a.Size)
	}
	body, err := memory.ReadBytes(space, addr+aclHeaderSize, int(a.Size)-aclHeaderSize)
	if err != nil {
		return a, err
	}
	for i := range int(a.AceCount) {
		if len(body) < aceHeaderSize {
			return a, fmt.Errorf("ACL %#x ends after %d of %d entries", addr, i, a.AceCount)
		}
		size := int(le16(body[2:]))
		if size < aceHeaderSize || size > len(body) {
			return a, fmt.Errorf("ACL %#x: entry %d has %d bytes, %d are left", addr, i, size, len(body))
		}
		a.Entries = append(a.Entries, parseACE(body[:size]))
		body = body[size:]
	}
	return a, nil
}

// parseACE decodes an entry that is as long as its header says.
func parseACE(b []byte) ACE {
	e := ACE{Type: b[0], Flags: b[1], Size: le16(b[2:])}
	if len(b) < 8 {
		e.Err = errShortSID
		return e
	}
	e.Mask = le32(b[4:])
	at := 8
	switch e.Type {
	case aceAllowedCompound:
		at = 12 + len(b) // a server's and a client's SID: not shown
	case 5, 6, 7, 8, 11, 12, 15, 16: // object types: flags say which GUIDs there are
		if len(b) < 12 {
			e.Err = errShortSID
			return e
		}
		at = 12
		for flag := uint32(1); flag <= 2; flag <<= 1 {
			if le32(b[8:])&flag != 0 {
				at += 16
			}
		}
	}
	if at > len(b) {
		if e.Type != aceAllowedCompound {
			e.Err = errShortSID
		}
		return e
	}
	e.SID, e.Err = parseSID(b[at:])
	return e
}

const aceAllowedCompound = 4

// aceTypes are the names of winnt.h, by number.
var aceTypes = [...]string{
	"ACCESS_ALLOWED", "ACCESS_DENIED", "SYSTEM_AUDIT", "SYSTEM_ALARM", "ACCESS_ALLOWED_COMPOUND", "ACCESS_ALLOWED_OBJECT",
	"ACCESS_DENIED_OBJECT", "SYSTEM_AUDIT_OBJECT", "SYSTEM_ALARM_OBJECT", "ACCESS_ALLOWED_CALLBACK", "ACCESS_DENIED_CALLBACK",
	"ACCESS_ALLOWED_CALLBACK_OBJECT", "ACCESS_DENIED_CALLBACK_OBJECT", "SYSTEM_AUDIT_CALLBACK", "SYSTEM_ALARM_CALLBACK",
	"SYSTEM_AUDIT_CALLBACK_OBJECT", "SYSTEM_ALARM_CALLBACK_OBJECT", "SYSTEM_MANDATORY_LABEL", "SYSTEM_RESOURCE_ATTRIBUTE",
	"SYSTEM_SCOPED_POLICY_ID", "SYSTEM_PROCESS_TRUST_LABEL", "SYSTEM_ACCESS_FILTER",
}

// TypeName returns the name of the entry's type, "" for an unknown one.
func (e ACE) TypeName() string {
	if int(e.Type) < len(aceTypes) {
		return aceTypes[e.Type] + "_ACE_TYPE"
	}
	return ""
}

// A SecurityDescriptor is a SECURITY_DESCRIPTOR of either form.
type SecurityDescriptor struct {
	Revision, Sbz1           uint8
	Control                  uint16
	Owner, Group, SACL, DACL uint64 // addresses, 0 for none
}

// Bits of SecurityDescriptor.Control.
const (
	SelfRelative = 0x8000
	DACLPresent  = 0x0004
	SACLPresent  = 0x0010
)

// ReadSecurityDescriptor reads the security descriptor at addr.
func ReadSecurityDescriptor(space memory.Space, addr uint64) (SecurityDescriptor, error) {
	b, err := memory.ReadBytes(space, addr, 20)
	if err != nil {
		return SecurityDescriptor{}, err
	}
	d := SecurityDescriptor{Revision: b[0], Sbz1: b[1], Control: le16(b[2:])}
	if d.Revision != 1 {
		return d, fmt.Errorf("no security descriptor at %#x: revision %d", addr, d.Revision)
	}
	if d.Control&SelfRelative != 0 {
		relative := func(off int) uint64 {
			if v := uint64(le32(b[off:])); v != 0 {
				return addr + v
			}
			return 0
		}
		d.Owner, d.Group, d.SACL, d.DACL = relative(4), relative(8), relative(12), relative(16)
	} else {
		if b, err = memory.ReadBytes(space, addr, 40); err != nil {
			return d, err
		}
		d.Owner, d.Group, d.SACL, d.DACL = le64(b[8:]), le64(b[16:]), le64(b[24:]), le64(b[32:])
	}
	return d, nil
}

// Relative returns the SID of an account of a domain: the domain's with the
// account's number behind.
func (s SID) Relative(number uint32) SID { return SID(fmt.Sprintf("%s-%d", s, number)) }

// domainParts is how many parts the SID of a domain or machine has: 21 and
// three numbers.
const domainParts = 4

// TrailingSID returns the SID of a domain that ends b, as the registry's values
// of security databases do.
func TrailingSID(b []byte) (SID, bool) {
	const size = 8 + 4*domainParts
	if len(b) < size {
		return "", false
	}
	tail := b[len(b)-size:]
	sid, err := parseSID(tail)
	return sid, err == nil && tail[1] == domainParts
}
