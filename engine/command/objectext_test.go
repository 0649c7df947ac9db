package command

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestObjectCommands compares layouts with reference/commands/objects.md; the
// values are what lab19041.json says of the dump.
func TestObjectCommands(t *testing.T) {
	s := labSession(t)
	tests := []struct{ line, want string }{
		{`!object \Device`, `Object: ffffe3872011fdf0  Type: (ffffe387201035f0) Directory
    ObjectHeader: ffffe3872011fdc0 (new version)
    HandleCount: 1  PointerCount: 32769
    Directory Object: ffffb10a60125e50  Name: Device

    Hash Address          Type                      Name
    ---- -------          ----                      ----
     15  ffffe387201115c0 Device                    HarddiskVolume3
     23  ffffe38720135ac0 Device                    ConDrv
`},
		{`!object ffffe387110b1080 0`, "Object: ffffe387110b1080  Type: (ffffe38720103eb0) Process\n"},
		{`!object \Device\nothing`, "Object \\Device\\nothing not found\n"},
		{`!handle 10 3 ffffe387110b1080`, `
PROCESS ffffe387110b1080
    SessionId: 1  Cid: 1a2c    Peb: c09169a000  ParentCid: 1284
    DirBase: 12d7f002  ObjectTable: ffffb10a60117380  HandleCount:  16.
    Image: PotionShop.exe

Handle table at ffffb10a60117380 with 16 entries in use

0010: Object: ffffe38720116cb0  GrantedAccess: 00100020 Entry: ffffb10a60bb6040
Object: ffffe38720116cb0  Type: (ffffe38720102ab0) File
    ObjectHeader: ffffe38720116c80 (new version)
        HandleCount: 1  PointerCount: 32769
        Directory Object: 00000000  Name: \Users\mara\source\PotionShop {HarddiskVolume3}

`},
		{`!handle 5 3 ffffe387110b1080`, `
PROCESS ffffe387110b1080
    SessionId: 1  Cid: 1a2c    Peb: c09169a000  ParentCid: 1284
    DirBase: 12d7f002  ObjectTable: ffffb10a60117380  HandleCount:  16.
    Image: PotionShop.exe

Handle table at ffffb10a60117380 with 16 entries in use

0005: not a valid handle in this process
`},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, answer(s, tt.line)); diff != "" {
				t.Errorf("-want +here\n%s", diff)
			}
		})
	}
}

// TestHandleFilters checks that every handle of the System process is shown,
// and only those of a type when one is named.
func TestHandleFilters(t *testing.T) {
	s := labSession(t)
	all := answer(s, "!handle 0 1 4")
	if n := strings.Count(all, "GrantedAccess"); n != 332 {
		t.Errorf("%d handles of the System process, want 332", n)
	}
	if !strings.Contains(all, "\nKernel handle table at ") {
		t.Errorf("not told to be the kernel's table: %.300s", all)
	}
	keys := answer(s, "!handle 0 3 1a2c Key")
	if n := strings.Count(keys, ") Key\n"); n != 2 || strings.Contains(keys, ") Event\n") {
		t.Errorf("%d keys, want 2 and nothing else:\n%s", n, keys)
	}
}
