package command

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kdap/engine/dumptest"
)

// laidRegistry is a small machine with a hive whose cells the tests know.
type laidRegistry struct {
	m              *dumptest.Machine
	hive, hardware *dumptest.Hive
	ships, ferry   *dumptest.HiveKey
	handle         uint64
}

func layRegistry(relative string) *laidRegistry {
	m := dumptest.SmallWith(dumptest.Options{Relative: relative})
	l := &laidRegistry{m: m}
	l.hive = m.AddHive(dumptest.HiveOptions{
		Mount: `\REGISTRY\MACHINE\HARBOUR`, File: `\SystemRoot\System32\Config\HARBOUR`, Lengths: [2]uint32{0x6000},
		Dirty: []uint32{0, 1, 5}, FreeBins: []dumptest.FreeBin{{FileOffset: 0x5000, Size: 0x1000, Flags: 1}},
	})
	l.hardware = m.AddHive(dumptest.HiveOptions{Mount: `\REGISTRY\MACHINE\HARDWARE`, Pool: true})
	l.ships = l.hive.Key("Ships")
	for _, name := range []string{"Barge", "Ferry", "Pilot", "Tug"} {
		l.ships.Sub(name).SetString("Flag", "NL").SetDword("Tons", 1400)
	}
	l.ferry = l.ships.Sub("Ferry").Set("Log", dumptest.RegBinary, bytes.Repeat([]byte{0x5e}, 40))
	l.ships.VolatileSub("Moored")
	l.handle = m.System().AddKeyHandle(l.ferry, 0x20019)
	return l
}

// asked runs a line and returns output and notes.
func asked(s *Session, line string) (output, notes string) {
	var out bytes.Buffer
	var all []string
	_ = s.Execute(context.Background(), line, Output{Out: &out, Note: func(n string) { all = append(all, n) }})
	return out.String(), strings.Join(all, "\n")
}

// TestRegistryWordsOnLaidHive runs the words of !reg on a hive whose every cell is known.
// The layouts that no reference has are ours.
func TestRegistryWordsOnLaidHive(t *testing.T) {
	for _, relative := range []string{"", "older"} {
		t.Run("kernel_"+relative, func(t *testing.T) {
			l := layRegistry(relative)
			s := writtenSession(t, l.m.Finish())
			hive, node := l.hive.Addr(), l.ferry.NodeAddr()
			_, flag := l.ferry.Value("Log")
			uses := ""
			if relative != "" {
				uses = "     0|" // that family counts the uses of a hive's views
			}
			moored := l.ships.VolatileSub("Moored")
			tests := []struct{ line, want string }{
				{"!reg hivelist", fmt.Sprintf("| %016x | %10x  | %016x | %10x    |  %016x  |%s %016x  | temRoot\\System32\\Config\\HARBOUR\n",
					hive, 0x6000, hive+0x128, 0x1000, hive+0x3a0, uses, l.hive.Base())},
				{fmt.Sprintf("!reg subkeylist %x %x", hive, l.ships.NodeAddr()), fmt.Sprintf("[SubKeyAddr]         [VolatileSubKeyName]\n%-21xMoored\n", moored.NodeAddr())},
				{fmt.Sprintf("!reg valuelist %x %x", hive, node), "REG_SZ              Flag                          NL\nREG_DWORD           Tons                          578\n"},
				{fmt.Sprintf("!reg valuelist %x %x", hive, node), fmt.Sprintf("%-20s%-30s0x%X - 5e 5e 5e", "REG_BINARY", "Log", l.hive.CellAddr(flag))},
				{fmt.Sprintf("!reg kcb %x", l.ferry.ControlBlock()), fmt.Sprintf("KeyCell          : 0x%x [cell index]\n", l.ferry.Cell())},
				{fmt.Sprintf("!reg knode %x", node), fmt.Sprintf("ParentCell           : 0x%x\n", l.ships.Cell())},
				{fmt.Sprintf("!reg cellindex %x %x", hive, l.ferry.Cell()), fmt.Sprintf("pcell:  %016x\n", node)},
				{fmt.Sprintf("!reg cellindex %x %x", hive, moored.Cell()), fmt.Sprintf("pcell:  %016x\n", moored.NodeAddr())},
				{fmt.Sprintf("!reg openhandles %x", hive), fmt.Sprintf(" %04x: body=", l.handle)},
				{"!reg openhandles 0", fmt.Sprintf("kcb=%016x access=00020019 \\REGISTRY\\MACHINE\\HARBOUR\\SHIPS\\FERRY\n", l.ferry.ControlBlock())},
				{"!reg openhandles 0", "\n0x1 handles found\n"},
				{fmt.Sprintf("!reg openkeys %x", hive), fmt.Sprintf("kcb=%016x cell=%08x f=00200000 \\REGISTRY\\MACHINE\\HARBOUR\\SHIPS\\FERRY\n", l.ferry.ControlBlock(), l.ferry.Cell())},
				{fmt.Sprintf("!reg openkeys %x", hive), "\n0x3 keys found\n"},
				{`!reg findkcb \Registry\Machine\Harbour\Ships\Ferry`, fmt.Sprintf("Found KCB = %016x :: ", l.ferry.ControlBlock())},
				{`!reg q HKLM\Harbour\Ships\Tug`, "Sorry <\\registry\\machine\\harbour\\ships\\tug> is not cached \n"},
				{fmt.Sprintf("!reg baseblock %x", hive), "FileName :  temRoot\\System32\\Config\\HARBOUR\nSignature:  HBASE_BLOCK_SIGNATURE\n"},
				{fmt.Sprintf("!reg dirtyvector %x", hive), "48 sectors, DirtyCount = 3\n"},
				{fmt.Sprintf("!reg dirtyvector %x", hive), "          0            1    0\n          5            5    a00\n3 dirty sectors\n"},
				{fmt.Sprintf("!reg freebins %x", hive), "  00001000   00005000     00000001\n1 free bins\n"},
				{fmt.Sprintf("!reg freecells %x", l.hive.CellAddr(0x20)-0x24), "1 free cells, "},
				{fmt.Sprintf("!reg seccache %x", hive), "SecurityCount     = 0x1\n"},
				{fmt.Sprintf("!reg freehints %x 0 1", hive), "0 bits\n"},
				{fmt.Sprintf("!reg locktable %x 0", l.ferry.ControlBlock()), "KCBLock  = "},
				{fmt.Sprintf("!reg ixlock %x", l.ferry.ControlBlock()+uint64(dumptest.OffsetOf("_CM_KEY_CONTROL_BLOCK", "KCBLock"))), "  OwnerCount = 0\n"},
				{"!reg translist 0", "0 active transactions\n"},
				{"!reg postblocklist", "0 threads with post blocks\n"},
				{"!reg dumppool", "0 allocations, 0x0 bytes\n"},
				{`!reg convkey HKLM\HARBOUR\Ships`, fmt.Sprintf("Hive %016x \\REGISTRY\\MACHINE\\HARBOUR\n", hive)},
			}
			for _, tt := range tests {
				if got, notes := asked(s, tt.line); !strings.Contains(got, tt.want) {
					t.Errorf("%s lacks\n%q\nit is\n%s\nnotes: %s", tt.line, tt.want, got, notes)
				}
			}
		})
	}
}

// TestDamagedHive: what is wrong in a hive is told with its place, and all else
// is there.
func TestDamagedHive(t *testing.T) {
	const whole = "Barge Ferry Pilot Tug Moored"
	tests := []struct {
		name   string
		damage func(l *laidRegistry, d *dumptest.Dump)
		keys   string // that !reg keyinfo of the parent still shows
		cell   func(l *laidRegistry) uint32
		note   string
	}{
		{"signature_of_a_key", func(l *laidRegistry, _ *dumptest.Dump) {
			l.hive.Space().Write(l.ferry.NodeAddr(), []byte("xx"))
		}, "Barge <UNKNOWN> Pilot Tug Moored", func(l *laidRegistry) uint32 { return l.ferry.Cell() }, "is no key node's"},
		{"free_cell", func(l *laidRegistry, _ *dumptest.Dump) {
			l.hive.Space().U32(l.ferry.NodeAddr()-4, 0x60)
		}, "Barge <UNKNOWN> Pilot Tug Moored", func(l *laidRegistry) uint32 { return l.ferry.Cell() }, "a free cell (size 0x60)"},
		{"size_beyond_the_bin", func(l *laidRegistry, _ *dumptest.Dump) {
			l.hive.Space().U32(l.ferry.NodeAddr()-4, 0xffffe000)
		}, "Barge <UNKNOWN> Pilot Tug Moored", func(l *laidRegistry) uint32 { return l.ferry.Cell() }, "ends beyond the bin"},
		{"name_beyond_the_cell", func(l *laidRegistry, _ *dumptest.Dump) {
			l.hive.Space().Write(l.ferry.NodeAddr()+0x48, []byte{0xff, 0x7f})
		}, "Barge <UNKNOWN> Pilot Tug Moored", func(l *laidRegistry) uint32 { return l.ferry.Cell() }, "does not fit into the cell"},
		{"key_of_another_parent", func(l *laidRegistry, _ *dumptest.Dump) {
			l.hive.Space().U32(l.ferry.NodeAddr()+0x10, 0x20)
		}, whole, nil, ""},
		{"volatile_page_not_in_the_dump", func(l *laidRegistry, d *dumptest.Dump) {
			d.Drop(l.m.Kernel, l.ships.VolatileSub("Moored").NodeAddr())
		}, "Barge Ferry Pilot Tug <UNKNOWN>", nil, "not in the dump"},
		{"no_blocks", func(l *laidRegistry, _ *dumptest.Dump) {
			l.m.Kernel.U64(l.hive.Addr()+uint64(dumptest.OffsetOf("_CMHIVE", "Hive.Storage[1].Map")), 0)
		}, "Barge Ferry Pilot Tug", nil, "the storage has no map"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := layRegistry("")
			d := l.m.Finish()
			tt.damage(l, d)
			s := writtenSessionAs(t, d, dumptest.ActiveBitmap) // a full dump holds every page
			got, notes := asked(s, fmt.Sprintf("!reg subkeylist %x %x", l.hive.Addr(), l.ships.NodeAddr()))
			var names []string
			for _, line := range strings.Split(got, "\n") {
				if f := strings.Fields(line); len(f) == 2 && !strings.HasPrefix(line, "[") {
					names = append(names, f[1])
				}
			}
			if diff := cmp.Diff(tt.keys, strings.Join(names, " ")); diff != "" {
				t.Errorf("-want +here\n%s", diff)
			}
			place := fmt.Sprintf("hive %#x, cell ", l.hive.Addr())
			if tt.cell != nil {
				place += fmt.Sprintf("%#x", tt.cell(l))
			}
			if tt.note != "" && (!strings.Contains(notes, place) || !strings.Contains(notes, tt.note)) {
				t.Errorf("the notes lack %q and %q:\n%s", place, tt.note, notes)
			}
			if got, _ := asked(s, fmt.Sprintf("!reg valuelist %x %x", l.hive.Addr(), l.ships.Sub("Tug").NodeAddr())); !strings.Contains(got, "Tons") {
				t.Errorf("the values of an undamaged key are gone:\n%s", got)
			}
		})
	}
}

// TestMexRegistry: the layouts are querykey's (reference/commands/registry.md).
func TestMexRegistry(t *testing.T) {
	m := dumptest.SmallWith(dumptest.Options{})
	system := m.AddHive(dumptest.HiveOptions{Mount: `\REGISTRY\MACHINE\SYSTEM`, Name: "SYSTEM"})
	system.Key("Select").SetDword("Current", 2)
	ferry := system.Key(`ControlSet002\Services\Ferry`).SetString("", "boat").SetDword("Start", 3)
	s := writtenSession(t, m.Finish())
	want := fmt.Sprintf(`

Sorry <\registry\machine\system\controlset002\services\ferry> is not cached 

===========================================================================================
Falling back to traversing the tree of nodes.

Hive         %016x
KeyNode      %016x

[SubKeyAddr]         [SubKeyName]
 Key has no SubKeys

[ValueType]         [ValueName]                   [ValueData]
REG_SZ              <nameless value>              boat
REG_DWORD           Start                         3
`, system.Addr(), ferry.NodeAddr())
	for _, line := range []string{`!svcreg Ferry`, `!mex.mreg -p "\REGISTRY\MACHINE\SYSTEM\ControlSet002\Services\Ferry"`} {
		if diff := cmp.Diff(want, answer(s, line)); diff != "" {
			t.Errorf("%s: -want +here\n%s", line, diff)
		}
	}
	if got := answer(s, "!svcreg"); got != "usage: !svcreg Service\n" {
		t.Errorf("!svcreg: %q", got)
	}
}
