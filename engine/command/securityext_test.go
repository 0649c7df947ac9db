package command

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestToken compares the layout with reference/commands/objects.md.
func TestToken(t *testing.T) {
	want := `_TOKEN 0xffffb10a60106080
TS Session ID: 0x0
User: S-1-5-18 (Well Known Group: NT AUTHORITY\SYSTEM)
User Groups: 
Primary Group: 
Privs: 
 19 0x000000013 SeShutdownPrivilege               Attributes - 
 23 0x000000017 SeChangeNotifyPrivilege           Attributes - Enabled Default 
 25 0x000000019 SeUndockPrivilege                 Attributes - 
 33 0x000000021 SeIncreaseWorkingSetPrivilege     Attributes - 
 34 0x000000022 SeTimeZonePrivilege               Attributes - 
Authentication ID:         (0,0)
Impersonation Level:       Anonymous
TokenType:                 Primary
Source: User32             TokenFlags: 0x0 ( Token NOT in use )
Token ID: 0                ParentToken ID: 0
Modified ID:               (0, 0)
RestrictedSidCount: 0      RestrictedSids: 0x0000000000000000
`
	s := labSession(t)
	if diff := cmp.Diff(want, answer(s, "!token -n ffffb10a60106080")); diff != "" {
		t.Errorf("-want +here\n%s", diff)
	}
	if got := answer(s, "!sid poi(ffffb10a60106518) 1"); got != "SID is: S-1-5-18 (Well Known Group: NT AUTHORITY\\SYSTEM)\n" {
		t.Errorf("%q", got)
	}
}
