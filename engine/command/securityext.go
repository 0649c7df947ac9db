package command

import (
	"context"
	"fmt"

	"kdap/engine/windows"
)

func securityCommands() []*Command {
	return []*Command{cmdToken(), cmdSd(), cmdAcl(), cmdSid()}
}

func cmdSid() *Command {
	return &Command{
		Names: []string{"!sid"}, Args: "Address [Flags]",
		Short: "show a security identifier; with 1 the account's name",
		Run: func(_ context.Context, s *Session, c *Call) error {
			addr, names, err := s.securityArguments(c)
			if err != nil {
				return err
			}
			sid, err := windows.ReadSID(s.space(), addr)
			if err != nil {
				s.notef("%v", err)
				return Failf("%016x: Unable to get SID", addr)
			}
			s.printf("SID is: %s\n", s.sidText(sid, names))
			return nil
		},
	}
}

// securityArguments reads an address and the flag that asks for names.
func (s *Session) securityArguments(c *Call) (addr uint64, names bool, err error) {
	if c.Args.Done() {
		return 0, false, Failf("%s: an address is missing", c.Name)
	}
	if addr, err = s.extensionNumber(c); err != nil || c.Args.Done() {
		return addr, false, err
	}
	flags, err := s.extensionNumber(c)
	return addr, flags&1 != 0, err
}

func cmdAcl() *Command {
	return &Command{
		Names: []string{"!acl"}, Args: "Address [Flags]",
		Short: "show an access control list; with 1 the accounts' names",
		Run: func(_ context.Context, s *Session, c *Call) error {
			addr, names, err := s.securityArguments(c)
			if err != nil {
				return err
			}
			return s.showACL("ACL is:", addr, names)
		},
	}
}

// aceFlags are the flags of ACE_HEADER of winnt.h.
var aceFlags = maskNames{
	{0x1, "OBJECT_INHERIT_ACE"},
	{0x2, "CONTAINER_INHERIT_ACE"},
	{0x4, "NO_PROPAGATE_INHERIT_ACE"},
	{0x8, "INHERIT_ONLY_ACE"},
	{0x10, "INHERITED_ACE"},
	{0x20, "CRITICAL_ACE_FLAG"},
	{0x40, "SUCCESSFUL_ACCESS_ACE_FLAG"},
	{0x80, "FAILED_ACCESS_ACE_FLAG"},
}

func (s *Session) showACL(label string, addr uint64, names bool) error {
	a, err := windows.ReadACL(s.space(), addr)
	if err != nil && a.Size == 0 {
		s.notef("%v", err)
		return Failf("%016x: Unable to get ACL", addr)
	}
	s.printf("%s\n", label)
	s.printf("%s ->AclRevision: 0x%x\n", label, a.Revision)
	s.printf("%s ->Sbz1       : 0x%x\n", label, a.Sbz1)
	s.printf("%s ->AclSize    : 0x%x\n", label, a.Size)
	s.printf("%s ->AceCount   : 0x%x\n", label, a.AceCount)
	s.printf("%s ->Sbz2       : 0x%x\n", label, a.Sbz2)
	for i, e := range a.Entries {
		row := fmt.Sprintf("%s ->Ace[%d]: ", label, i)
		kind := e.TypeName()
		if kind == "" {
			kind = fmt.Sprintf("UNKNOWN (0x%x)", e.Type)
		}
		s.printf("%s->AceType: %s\n", row, kind)
		s.printf("%s->AceFlags: 0x%x\n", row, e.Flags)
		for _, name := range aceFlags.names(uint64(e.Flags)) {
			s.printf("%s            %s\n", row, name)
		}
		s.printf("%s->AceSize: 0x%x\n", row, e.Size)
		s.printf("%s->Mask : 0x%08x\n", row, e.Mask)
		switch {
		case e.Err != nil:
			s.notef("entry %d: %v", i, e.Err)
		case e.SID != "":
			s.printf("%s->SID: %s\n", row, s.sidText(e.SID, names))
		}
		s.printf("\n")
	}
	if err != nil {
		s.notef("%v", err)
	}
	return nil
}

func cmdSd() *Command {
	return &Command{
		Names: []string{"!sd"}, Args: "Address [Flags]",
		Short: "show a security descriptor; with 1 the accounts' names",
		Run:   runSd,
	}
}

// controlFlags are the bits of SECURITY_DESCRIPTOR_CONTROL of winnt.h.
var controlFlags = maskNames{
	{0x1, "SE_OWNER_DEFAULTED"},
	{0x2, "SE_GROUP_DEFAULTED"},
	{windows.DACLPresent, "SE_DACL_PRESENT"},
	{0x8, "SE_DACL_DEFAULTED"},
	{windows.SACLPresent, "SE_SACL_PRESENT"},
	{0x20, "SE_SACL_DEFAULTED"},
	{0x40, "SE_DACL_UNTRUSTED"},
	{0x80, "SE_SERVER_SECURITY"},
	{0x100, "SE_DACL_AUTO_INHERIT_REQ"},
	{0x200, "SE_SACL_AUTO_INHERIT_REQ"},
	{0x400, "SE_DACL_AUTO_INHERITED"},
	{0x800, "SE_SACL_AUTO_INHERITED"},
	{0x1000, "SE_DACL_PROTECTED"},
	{0x2000, "SE_SACL_PROTECTED"},
	{0x4000, "SE_RM_CONTROL_VALID"},
	{windows.SelfRelative, "SE_SELF_RELATIVE"},
}

func runSd(_ context.Context, s *Session, c *Call) error {
	addr, names, err := s.securityArguments(c)
	if err != nil {
		return err
	}
	// Pointers in object headers keep a count in their low bits.
	d, err := windows.ReadSecurityDescriptor(s.space(), addr)
	if err != nil {
		s.notef("%v", err)
		return Failf("%016x: Unable to get security descriptor", addr)
	}
	s.printf("->Revision: 0x%x\n->Sbz1    : 0x%x\n->Control : 0x%x\n", d.Revision, d.Sbz1, d.Control)
	for _, name := range controlFlags.names(uint64(d.Control)) {
		s.printf("            %s\n", name)
	}
	for _, sid := range []struct {
		label string
		at    uint64
	}{{"->Owner   : ", d.Owner}, {"->Group   : ", d.Group}} {
		if sid.at == 0 {
			s.printf("%s is NULL\n", sid.label)
			continue
		}
		v, err := windows.ReadSID(s.space(), sid.at)
		if err != nil {
			s.notef("%v", err)
			s.printf("%s%s\n", sid.label, notAccessible)
			continue
		}
		s.printf("%s%s\n", sid.label, s.sidText(v, names))
	}
	for _, acl := range []struct {
		label   string
		at      uint64
		present uint16
	}{{"->Dacl    :", d.DACL, windows.DACLPresent}, {"->Sacl    :", d.SACL, windows.SACLPresent}} {
		if acl.at == 0 || d.Control&acl.present == 0 {
			s.printf("%s  is NULL\n", acl.label)
			continue
		}
		if err := s.showACL(acl.label, acl.at, names); err != nil {
			return err
		}
	}
	return nil
}
