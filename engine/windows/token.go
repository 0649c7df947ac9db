package windows

import (
	"errors"
	"fmt"
	"iter"
	"strings"

	"kdap/engine/types"
)

// A Token is a view over one _TOKEN.
type Token struct {
	sys *System
	obj types.Object
}

// Token returns the view over the _TOKEN at addr.
func (s *System) Token(addr uint64) Token { return Token{s, s.Struct("_TOKEN", addr)} }

// Token returns the process's primary token. The pointer is a fast reference:
// its low four bits count.
func (p Process) Token() (Token, error) {
	v, err := p.obj.FirstField("Token.Value", "Token.Object").Uint()
	return p.sys.Token(v &^ 0xf), err
}

// Addr returns the address of the _TOKEN.
func (t Token) Addr() uint64 { return t.obj.Addr() }

// Object returns the _TOKEN itself.
func (t Token) Object() types.Object { return t.obj }

// A TokenGroup is a SID of a token with its attributes.
type TokenGroup struct {
	SID        SID
	Attributes uint64
}

// maxGroups bounds the SIDs of a token; the kernel allows about 1,015.
const maxGroups = 4096

// Groups yields the SIDs of the token; the first is the user.
func (t Token) Groups() iter.Seq2[TokenGroup, error] {
	return t.sids("UserAndGroups", "UserAndGroupCount")
}

// Restricted yields the restricting SIDs of the token.
func (t Token) Restricted() iter.Seq2[TokenGroup, error] {
	return t.sids("RestrictedSids", "RestrictedSidCount")
}

func (t Token) sids(list, count string) iter.Seq2[TokenGroup, error] {
	return func(yield func(TokenGroup, error) bool) {
		n, err := t.obj.Field(count).Uint()
		if err != nil {
			yield(TokenGroup{}, fmt.Errorf("token %#x: %w", t.Addr(), err))
			return
		}
		for i := range int(min(n, maxGroups)) {
			e := t.obj.Field(list).Index(i)
			var g TokenGroup
			at, err := e.Field("Sid").Uint()
			if err == nil {
				g.SID, err = ReadSID(t.sys.Kernel(), at)
			}
			attributes, aerr := e.Field("Attributes").Uint()
			g.Attributes = attributes
			if err = errors.Join(err, aerr); err != nil {
				err = fmt.Errorf("token %#x, %s %d: %w", t.Addr(), list, i, err)
			}
			if !yield(g, err) {
				return
			}
		}
	}
}

// PrimaryGroup returns the token's primary group, "" without one.
func (t Token) PrimaryGroup() (SID, error) {
	at, err := t.obj.Field("PrimaryGroup").Uint()
	if err != nil || at == 0 {
		return "", err
	}
	return ReadSID(t.sys.Kernel(), at)
}

// LUID reads a member that is a locally unique id.
func (t Token) LUID(member string) (high, low uint64, err error) {
	low, err = t.obj.Field(member).Field("LowPart").Uint()
	high, herr := t.obj.Field(member).Field("HighPart").Uint()
	return high, low, errors.Join(err, herr)
}

// Source returns the name of the component that made the token.
func (t Token) Source() (string, error) {
	s, err := t.obj.Field("TokenSource.SourceName").CString()
	return strings.TrimRight(s, " "), err
}

// A Privilege is one privilege of a token.
type Privilege struct {
	Number           int
	Enabled, Default bool
}

// Privileges returns the privileges that the token has, by number.
func (t Token) Privileges() ([]Privilege, error) {
	p := t.obj.Field("Privileges")
	present, err := p.Field("Present").Uint()
	enabled, eerr := p.Field("Enabled").Uint()
	byDefault, derr := p.Field("EnabledByDefault").Uint()
	if err := errors.Join(err, eerr, derr); err != nil {
		return nil, err
	}
	var list []Privilege
	for i := range 64 {
		if present>>i&1 != 0 {
			list = append(list, Privilege{i, enabled>>i&1 != 0, byDefault>>i&1 != 0})
		}
	}
	return list, nil
}

// privilegeNames are the names of winnt.h, by number.
var privilegeNames = [...]string{
	2: "SeCreateTokenPrivilege", "SeAssignPrimaryTokenPrivilege", "SeLockMemoryPrivilege", "SeIncreaseQuotaPrivilege",
	"SeMachineAccountPrivilege", "SeTcbPrivilege", "SeSecurityPrivilege", "SeTakeOwnershipPrivilege", "SeLoadDriverPrivilege",
	"SeSystemProfilePrivilege", "SeSystemtimePrivilege", "SeProfileSingleProcessPrivilege", "SeIncreaseBasePriorityPrivilege",
	"SeCreatePagefilePrivilege", "SeCreatePermanentPrivilege", "SeBackupPrivilege", "SeRestorePrivilege", "SeShutdownPrivilege",
	"SeDebugPrivilege", "SeAuditPrivilege", "SeSystemEnvironmentPrivilege", "SeChangeNotifyPrivilege", "SeRemoteShutdownPrivilege",
	"SeUndockPrivilege", "SeSyncAgentPrivilege", "SeEnableDelegationPrivilege", "SeManageVolumePrivilege", "SeImpersonatePrivilege",
	"SeCreateGlobalPrivilege", "SeTrustedCredManAccessPrivilege", "SeRelabelPrivilege", "SeIncreaseWorkingSetPrivilege",
	"SeTimeZonePrivilege", "SeCreateSymbolicLinkPrivilege", "SeDelegateSessionUserImpersonatePrivilege",
}

// Name returns the privilege's name, "" for an unknown one.
func (p Privilege) Name() string {
	if p.Number < len(privilegeNames) {
		return privilegeNames[p.Number]
	}
	return ""
}

// LogonNames returns the domain and the account that logged on the session a
// token is of; "" before Windows 8, where the kernel does not keep them.
func (t Token) LogonNames() (domain, user string, err error) {
	session := t.obj.Field("LogonSession")
	at, err := session.Uint()
	if err != nil || at == 0 {
		return "", "", err
	}
	domain, err = session.Deref().Field("AuthorityName").UnicodeString()
	user, uerr := session.Deref().Field("AccountName").UnicodeString()
	return domain, user, errors.Join(err, uerr)
}
