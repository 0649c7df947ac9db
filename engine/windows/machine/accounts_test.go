package machine_test

import (
	"testing"

	"kdap/engine/dumptest"
	"kdap/engine/windows"
	"kdap/engine/windows/machine"
)

const (
	local   = "S-1-5-21-101-202-303"
	foreign = "S-1-5-21-7-8-9-1107"
)

// domainSID is local in the bytes of a SID.
var domainSID = []byte{1, 4, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 101, 0, 0, 0, 202, 0, 0, 0, 47, 1, 0, 0}

// TestAccounts: names from the accounts database, the list of profiles and the
// table of accounts that every machine has; nothing for an unknown one.
func TestAccounts(t *testing.T) {
	m := dumptest.SmallWith(dumptest.Options{Computer: "HARBOUR9"})
	sam := m.AddHive(dumptest.HiveOptions{Mount: `\REGISTRY\MACHINE\SAM`, Name: "SAM"})
	domain := sam.Key(`SAM\Domains\Account`)
	domain.Set("V", dumptest.RegBinary, append(make([]byte, 40), domainSID...))
	domain.Sub("Users").Sub("Names").Sub("ines").Set("", 1001, nil)
	domain.Sub("Groups").Sub("Names").Sub("None").Set("", 513, nil)
	software := m.AddHive(dumptest.HiveOptions{Mount: `\REGISTRY\MACHINE\SOFTWARE`, Name: "SOFTWARE"})
	profiles := software.Key(`Microsoft\Windows NT\CurrentVersion\ProfileList`)
	profiles.Sub(local+"-1004").SetString("ProfileImagePath", `C:\Users\olga`)
	profiles.Sub(foreign).SetString("ProfileImagePath", `C:\Users\visitor\`)
	sys := open(t, m).System
	a := machine.NewAccounts(t.Context(), sys)
	for sid, want := range map[windows.SID]string{
		"S-1-5-18": `NT AUTHORITY\SYSTEM`, local + "-1001": `HARBOUR9\ines`, local + "-513": `HARBOUR9\None`,
		local + "-1004": `HARBOUR9\olga`, foreign: "visitor", local + "-1005": "", "S-1-5-21-1-2-3-4": "", "": "",
	} {
		if got := a.Name(t.Context(), sid); got != want {
			t.Errorf("%s is %q, want %q", sid, got, want)
		}
	}
}
