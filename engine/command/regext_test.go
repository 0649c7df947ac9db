package command

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kdap/internal/truth"
)

// TestRegistryTexts compares !reg with the texts that the dump's independent
// writer expects (lab19041.json, registry.text; reference/transcripts.md 7 to
// 10). Those of keyinfo end behind the sub keys.
func TestRegistryTexts(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(truth.Dir(t), "dumps", "lab19041.json"))
	if err != nil {
		t.Skip(err)
	}
	var want struct {
		Registry struct{ Text map[string][]string }
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if len(want.Registry.Text) == 0 {
		t.Fatal("no texts")
	}
	s := labSession(t)
	for line, lines := range want.Registry.Text {
		got := strings.TrimLeft(answer(s, line), "\n")
		text := strings.TrimLeft(strings.Join(lines, "\n")+"\n", "\n")
		if strings.HasPrefix(line, "!reg keyinfo") {
			got = got[:min(len(got), len(text))]
		}
		if diff := cmp.Diff(text, got); diff != "" {
			t.Errorf("%s (-want +here)\n%s", line, diff)
		}
	}
}

// TestRegistryCommands compares layouts with reference/commands/registry.md;
// the values are what lab19041.json says of the dump. Layouts that no
// reference has are ours.
func TestRegistryCommands(t *testing.T) {
	s := labSession(t)
	tests := []struct{ line, want string }{
		{`!reg querykey \registry\machine\hardware\description\system`, `
Found KCB = ffffb10a55008000 :: \REGISTRY\MACHINE\HARDWARE\DESCRIPTION\SYSTEM

Hive         ffffb10a5100a000
KeyNode      ffffb10a510392d4

[SubKeyAddr]         [SubKeyName]
ffffb10a51039384     BIOS
ffffb10a510393dc     CentralProcessor
ffffb10a5103943c     MultifunctionAdapter

[SubKeyAddr]         [VolatileSubKeyName]
ffffb10a510411fc     VideoAdapterBusses

 Use '!reg keyinfo ffffb10a5100a000 <SubKeyAddr>' to dump the subkey details

[ValueType]         [ValueName]                   [ValueData]
REG_BINARY          Component Information         0xFFFFB10A510396D4 - 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 
REG_SZ              Identifier                    AT/AT COMPATIBLE
REG_FULL_RESOURCE_DESCRIPTORConfiguration Data            ff ff ff ff ff ff ff ff 00 00 00 00 00 00 00 00 
REG_MULTI_SZ        SystemBiosVersion             Kestrel Firmware Works - 1430\0KFW 2.71b\0\0
REG_SZ              SystemBiosDate                03/14/2022
REG_SZ              BootArchitecture              3
`},
		{`!reg q HKLM\SYSTEM\CurrentControlSet\Services\mssmbios`, `

Sorry <\registry\machine\system\currentcontrolset\services\mssmbios> is not cached 

===========================================================================================
Falling back to traversing the tree of nodes.

Hive         ffffb10a51007000
KeyNode      000001c0a4001c14

[SubKeyAddr]         [VolatileSubKeyName]
ffffb10a5103114c     Data

 Use '!reg keyinfo ffffb10a51007000 <SubKeyAddr>' to dump the subkey details

[ValueType]         [ValueName]                   [ValueData]
REG_DWORD           Type                          1
REG_DWORD           Start                         1
REG_EXPAND_SZ       ImagePath                     \SystemRoot\System32\drivers\mssmbios.sys
`},
		{`!reg kcb ffffb10a55008640`, `
Key              : \REGISTRY\MACHINE\SOFTWARE
RefCount         : 0x0000000000000007
Flags            : HiveRootKey, CompressedName, 
ExtFlags         : 
Parent           : 0xffffb10a550053c0
KeyHive          : 0xffffb10a5100d000
KeyCell          : 0x20 [cell index]
TotalLevels      : 4
LayerHeight      : 0
MaxNameLen       : 0x2c
MaxValueNameLen  : 0x0
MaxValueDataLen  : 0x0
LastWriteTime    : 0x 1d869b5:0x974384f2
KeyBodyListHead  : 0xffffb10a550086b8 0xffffb10a550086b8
SubKeyCount      : 8
Owner            : 0x0000000000000000
KCBLock          : 0xffffb10a55008738
KeyLock          : 0xffffb10a55008748
`},
		{`!reg findkcb \REGISTRY\MACHINE\SOFTWARE\Microsoft`, "\nFound KCB = ffffb10a5500a280 :: \\REGISTRY\\MACHINE\\SOFTWARE\\MICROSOFT\n"},
		{`!reg hashindex ffffb10a5100d000 28182c93`, `
CmpCacheTable = ffffb10a550133e0

Hash Index[28182c93] : 1c
Hash Entry[28182c93] : ffffb10a55013680
`},
		{`!reg cellindex ffffb10a5100d000 80000020`, `
Map = ffffb10a5100d398 Type = 1 Table = 0 Block = 0 Offset = 20
MapEntry     = ffffb10a5105a000
BinAddress   = ffffb10a51058000, BlockOffset = 0
BlockAddress = ffffb10a51058000

pcell:  ffffb10a51058024
`},
		{`!reg kvalue 1c0a806bcf4`, `
Signature: CM_KEY_VALUE_SIGNATURE (kv)
Name      : odd string
DataLength: 5
Data      : 6ace0 [cell index]
Type      : 1 (REG_SZ)
`},
		{`!reg openkeys 55`, "Invalid Hive signature: 0\n"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, answer(s, tt.line)); diff != "" {
				t.Errorf("-want +here\n%s", diff)
			}
		})
	}
}

// TestRegistryGap: the sub keys in a page that the dump lacks are marked in the
// list, and told of once.
func TestRegistryGap(t *testing.T) {
	s := labSession(t)
	var out bytes.Buffer
	var notes []string
	_ = s.Execute(t.Context(), `!reg querykey \REGISTRY\MACHINE\SOFTWARE\Classes`, Output{Out: &out, Note: func(n string) { notes = append(notes, n) }})
	if n := strings.Count(out.String(), unknownText); n != 46 {
		t.Errorf("%d sub keys are marked, want 46", n)
	}
	if len(notes) != maxGapNotes+1 || !strings.Contains(notes[0], "cell 0xd020 at 0x1c0a800e024") {
		t.Errorf("notes: %q", notes)
	}
}

// TestRegistryWords: every subcommand answers, without one the list is shown.
func TestRegistryWords(t *testing.T) {
	s := labSession(t)
	help := answer(s, "!reg nothing")
	for _, sub := range regSubs() {
		if !strings.Contains(help, sub.names[0]) {
			t.Errorf("%s is not in the list", sub.names[0])
		}
	}
	for _, line := range []string{
		"!reg baseblock ffffb10a5100d000", "!reg seccache ffffb10a5100d000", "!reg viewlist ffffb10a5100d000", "!reg freebins ffffb10a5100d000",
		"!reg freecells 1c0a8001000", "!reg dirtyvector ffffb10a5100d000", "!reg dumppool", "!reg knode 1c0a801d024",
		"!reg kbody ffffb10a6011d400", "!reg valuelist ffffb10a5100d000 1c0a801d024", "!reg subkeylist ffffb10a5100d000 1c0a801d024",
		`!reg convkey HKLM\SOFTWARE\Microsoft`, "!regkcb ffffb10a55008640", "!reg openkeys 0",
	} {
		if got := answer(s, line); len(got) < 40 || strings.Contains(got, "Could not") || strings.Contains(got, notAccessible) {
			t.Errorf("%s: %s", line, got)
		}
	}
}
