package command

import (
	"context"
	"fmt"

	"kdap/engine/windows"
)

func cmdToken() *Command {
	return &Command{
		Names: []string{"!token"}, Args: "[-n] [Address]",
		Short: "show an access token: user, groups, privileges",
		Run:   runToken,
	}
}

func runToken(_ context.Context, s *Session, c *Call) error {
	names := false
	for {
		letters, ok := c.Option()
		if !ok {
			break
		}
		if letters != "n" {
			return Failf("!token: unknown option -%s", letters)
		}
		names = true
	}
	if !c.Args.Done() {
		addr, err := s.extensionNumber(c)
		if err != nil {
			return err
		}
		if addr != 0 {
			s.printf("_TOKEN 0x%016x\n", addr)
			return s.showToken(s.sys.Token(addr), names)
		}
	}
	t, err := s.currentToken()
	if err != nil {
		return err
	}
	return s.showToken(t, names)
}

// currentToken returns the token that the current thread acts under, and says
// which one it is.
func (s *Session) currentToken() (windows.Token, error) {
	p := s.scope.process
	if p.Addr() == 0 {
		return windows.Token{}, Failf("Unable to get the current process data")
	}
	if s.scope.thread.Addr() != 0 {
		if owner, err := s.scope.thread.Process(); err == nil && owner.Addr() == p.Addr() {
			if d := s.scope.thread.Details(); d.Impersonating && d.ImpersonationToken != 0 {
				s.printf("_ETHREAD 0x%016x, _TOKEN 0x%016x\n", s.scope.thread.Addr(), d.ImpersonationToken)
				return s.sys.Token(d.ImpersonationToken), nil
			}
		}
	}
	t, err := p.Token()
	if err != nil {
		s.notef("%v", err)
		return t, Failf("Unable to get the process token")
	}
	s.printf("Thread is not impersonating. Using process token...\n_EPROCESS 0x%016x, _TOKEN 0x%016x\n", p.Addr(), t.Addr())
	return t, nil
}

// groupAttributes are SE_GROUP_* of winnt.h in the debugger's words.
var groupAttributes = maskNames{
	{0x1, "Mandatory"},
	{0x2, "Default"},
	{0x4, "Enabled"},
	{0x8, "Owner"},
	{0x10, "DenyOnly"},
	{0x20, "GroupIntegrity"},
	{0x40, "GroupIntegrityEnabled"},
	{0x20000000, "Resource"},
	{0xc0000000, "LogonId"},
}

// showToken prints a token below its first line.
func (s *Session) showToken(t windows.Token, names bool) error {
	o := t.Object()
	session, err := o.Field("SessionId").Uint()
	if err != nil {
		s.notef("%v", err)
		return Failf("%016x: Unable to read token", t.Addr())
	}
	s.printf("TS Session ID: 0x%x\n", session)
	i := -1
	for g, err := range t.Groups() {
		sid := s.sidText(g.SID, names)
		if err != nil {
			s.notef("%v", err)
			sid = notAccessible
		}
		if i++; i == 0 {
			s.printf("User: %s\nUser Groups: \n", sid)
			continue
		}
		s.showGroup(i-1, sid, g)
	}
	if i < 0 {
		s.printf("User: \nUser Groups: \n")
	}
	group, err := t.PrimaryGroup()
	text := ""
	switch {
	case err != nil:
		s.notef("primary group of token %x: %v", t.Addr(), err)
		text = notAccessible
	case group != "":
		text = s.sidText(group, names)
	}
	s.printf("Primary Group: %s\n", text)
	s.showPrivileges(t)
	s.showTokenFigures(t)
	i = 0
	for g, err := range t.Restricted() {
		sid := s.sidText(g.SID, names)
		if err != nil {
			s.notef("%v", err)
			sid = notAccessible
		}
		s.showGroup(i, sid, g)
		i++
	}
	return nil
}

func (s *Session) showGroup(i int, sid string, g windows.TokenGroup) {
	s.printf(" %02d %s\n    Attributes - ", i, sid)
	for _, name := range groupAttributes.names(g.Attributes) {
		s.printf("%s ", name)
	}
	s.printf("\n")
}

func (s *Session) showPrivileges(t windows.Token) {
	s.printf("Privs: \n")
	list, err := t.Privileges()
	if err != nil {
		s.notef("privileges of token %x: %v", t.Addr(), err)
	}
	for _, p := range list {
		name := p.Name()
		if name == "" {
			name = "Unknown Privilege"
		}
		attributes := ""
		if p.Enabled {
			attributes += "Enabled "
		}
		if p.Default {
			attributes += "Default "
		}
		s.printf(" %02d 0x%09x %-33s Attributes - %s\n", p.Number, p.Number, name, attributes)
	}
}

// showTokenFigures prints what stands below the lists.
func (s *Session) showTokenFigures(t windows.Token) {
	o := t.Object()
	get := func(path string) uint64 {
		v, err := o.Field(path).Uint()
		if err != nil {
			s.notef("token %x: %v", t.Addr(), err)
		}
		return v
	}
	luid := func(member string) (high, low uint64) {
		high, low, err := t.LUID(member)
		if err != nil {
			s.notef("token %x: %v", t.Addr(), err)
		}
		return high, low
	}
	high, low := luid("AuthenticationId")
	s.printf("Authentication ID:         (%x,%x)\n", high, low)
	s.printf("Impersonation Level:       %s\n", impersonationLevel(get("ImpersonationLevel")))
	kind := fmt.Sprint(get("TokenType"))
	switch get("TokenType") {
	case 1:
		kind = "Primary"
	case 2:
		kind = "Impersonation"
	}
	s.printf("TokenType:                 %s\n", kind)
	source := textOr(t.Source)
	inUse := "( Token NOT in use )"
	if get("TokenInUse") != 0 {
		inUse = "( Token in use )"
	}
	s.printf("Source: %-18s TokenFlags: 0x%x %s\n", source, get("TokenFlags"), inUse)
	_, id := luid("TokenId")
	_, parent := luid("ParentTokenId")
	s.printf("Token ID: %-16x ParentToken ID: %x\n", id, parent)
	high, low = luid("ModifiedId")
	s.printf("Modified ID:               (%x, %x)\n", high, low)
	s.printf("RestrictedSidCount: %-6d RestrictedSids: 0x%016x\n", get("RestrictedSidCount"), get("RestrictedSids"))
}
