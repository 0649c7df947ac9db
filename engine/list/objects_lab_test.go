package list

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"kdap/internal/truth"
)

// objectTruth is the part of lab19041.json about objects.
type objectTruth struct {
	Processes []struct {
		Name    string
		PID     uint64
		Session *uint32
		Handles []struct{ Handle, Object, Access, Type, Name string }
	}
	Drivers []struct {
		Object, Name, Start string
		Size                uint64
		Devices             []struct{ Object, Name string }
	}
	ObjectDirectories []struct {
		Directory, Path string
		Entries         []struct{ Object, Name, Type string }
	}
	PFN struct{ Sessions map[string]string }
}

func readObjectTruth(t testing.TB) objectTruth {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(truth.Dir(t), "dumps", "lab19041.json"))
	if err != nil {
		t.Skip(err)
	}
	var v objectTruth
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestLabObjects compares handles, objects, drivers, devices and sessions with
// what the dump's independent writer laid down, with symbols from a PDB and
// from an ISF table.
func TestLabObjects(t *testing.T) {
	want := readObjectTruth(t)
	store := filepath.Join(truth.Dir(t), "symbols")
	for name, path := range map[string]string{"pdb": store, "isf": isfPath(t, store)} {
		t.Run(name, func(t *testing.T) {
			sys := openLab(t, "lab19041.dmp", path)
			t.Run("handles", func(t *testing.T) {
				compareHandles(t, collect(t, Handles(t.Context(), sys, Filter{}), nil), want)
			})
			t.Run("objects", func(t *testing.T) {
				compareObjects(t, collect(t, Objects(t.Context(), sys, Filter{}), nil), want)
			})
			t.Run("drivers", func(t *testing.T) {
				compareDrivers(t, collect(t, Drivers(t.Context(), sys, Filter{}), nil), want)
			})
			t.Run("devices", func(t *testing.T) {
				compareDevices(t, collect(t, Devices(t.Context(), sys, Filter{}), nil), want)
			})
			t.Run("sessions", func(t *testing.T) {
				compareSessions(t, collect(t, Sessions(t.Context(), sys, Filter{}), nil), want)
			})
		})
	}
}

func compareHandles(t *testing.T, got []Handle, want objectTruth) {
	i := 0
	for _, p := range want.Processes {
		for _, w := range p.Handles {
			if i == len(got) {
				t.Fatalf("only %d handles", i)
			}
			g := got[i]
			i++
			what := p.Name + " " + w.Handle + " "
			equal(t, what+"pid", deref(g.PID), p.PID)
			equal(t, what+"value", g.Handle.String(), w.Handle)
			equal(t, what+"object", g.Object.String(), w.Object)
			equal(t, what+"access", hex(g.Access), w.Access)
			equal(t, what+"type", g.Type, w.Type)
			equal(t, what+"name", g.Name, w.Name)
			if len(g.Unreadable) > 0 {
				t.Errorf("%s: %v", what, g.Unreadable)
			}
		}
	}
	equal(t, "handles", len(got), i)
}

func compareObjects(t *testing.T, got []Object, want objectTruth) {
	// By address: the dump gives some names twice.
	type value struct{ path, kind string }
	have := map[string]value{}
	for _, g := range got {
		at := g.Object.String()
		if _, twice := have[at]; twice {
			t.Errorf("%s is there twice", at)
		}
		have[at] = value{g.Path, g.Type}
		if len(g.Unreadable) > 0 {
			t.Errorf("%s: %v", g.Path, g.Unreadable)
		}
	}
	count := 1 // the root is in no directory
	for _, dir := range want.ObjectDirectories {
		equal(t, dir.Path, have[dir.Directory], value{dir.Path, "Directory"})
		for _, e := range dir.Entries {
			count++
			equal(t, e.Object, have[e.Object], value{joinTruthPath(dir.Path, e.Name), e.Type})
		}
	}
	equal(t, "objects", len(got), count)
}

func joinTruthPath(dir, name string) string {
	if dir == `\` {
		return dir + name
	}
	return dir + `\` + name
}

func compareDrivers(t *testing.T, got []Driver, want objectTruth) {
	equal(t, "drivers", len(got), len(want.Drivers))
	for i, w := range want.Drivers[:min(len(got), len(want.Drivers))] {
		g := got[i]
		equal(t, "driver", g.Driver.String(), w.Object)
		equal(t, "name", g.Name, w.Name)
		equal(t, "start", hex(g.Start), w.Start)
		equal(t, "size", deref(g.Size), w.Size)
		var devices, wantDevices []string
		for _, d := range g.Devices {
			devices = append(devices, d.String())
		}
		for _, d := range w.Devices {
			wantDevices = append(wantDevices, d.Object)
		}
		if !slices.Equal(devices, wantDevices) {
			t.Errorf("devices: got %v, want %v", devices, wantDevices)
		}
		equal(t, "routines", len(g.Dispatch), 28)
		equal(t, "last routine", g.Dispatch[27].Major, "IRP_MJ_PNP")
	}
}

func compareDevices(t *testing.T, got []Device, want objectTruth) {
	names := map[string]string{}
	drivers := map[string]string{}
	for _, dir := range want.ObjectDirectories {
		for _, e := range dir.Entries {
			if e.Type == "Device" {
				names[e.Object] = e.Name
				drivers[e.Object] = ""
			}
		}
	}
	for _, d := range want.Drivers {
		for _, e := range d.Devices {
			names[e.Object] = e.Name
			drivers[e.Object] = d.Name
		}
	}
	equal(t, "devices", len(got), len(names))
	for _, g := range got {
		at := g.Device.String()
		name, ok := names[at]
		if !ok {
			t.Errorf("%s is no device", at)
		}
		equal(t, at+" name", g.Name, name)
		equal(t, at+" driver", g.DriverName, drivers[at])
	}
}

func compareSessions(t *testing.T, got []Session, want objectTruth) {
	members := map[uint32][]uint64{}
	for _, p := range want.Processes {
		if p.Session != nil {
			members[*p.Session] = append(members[*p.Session], p.PID)
		}
	}
	equal(t, "sessions", len(got), len(members))
	for _, g := range got {
		equal(t, "address", g.Address.String(), want.PFN.Sessions[strconv.FormatUint(uint64(g.Session), 10)])
		if !slices.Equal(g.Processes, members[g.Session]) {
			t.Errorf("session %d: got %v, want %v", g.Session, g.Processes, members[g.Session])
		}
	}
}

// TestUsersOfLab: the processes of a user have its name, which the list of
// profiles and their environments tell.
func TestUsersOfLab(t *testing.T) {
	sys := openWith(t, truth.Dump(t, "lab19041"), truth.Path(t, "symbols"))
	users := map[string]string{}
	for p, err := range Processes(t.Context(), sys, Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		users[p.Name] = p.User
	}
	for name, want := range map[string]string{"PotionShop.exe": `BENCH4\mara`, "lsass.exe": `NT AUTHORITY\SYSTEM`} {
		if users[name] != want {
			t.Errorf("%s is of %q, want %q", name, users[name], want)
		}
	}
}
