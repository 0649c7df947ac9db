package profile

import (
	"strings"
	"testing"

	"kdap/engine/types"
)

// Every row must be usable: known kinds, types that exist where members of them
// do, members within their types, no member twice.
func TestTableIsSound(t *testing.T) {
	facts, err := table()
	if err != nil {
		t.Fatal(err)
	}
	if len(facts.families) == 0 || len(facts.rows) == 0 {
		t.Fatalf("%d families, %d rows", len(facts.families), len(facts.rows))
	}
	last := uint32(0)
	for _, f := range facts.families {
		if f.First < last || f.Last < f.First || f.Name == "" || f.Source == "" {
			t.Errorf("family %+v", f)
		}
		last = f.Last
		p := f.Profile()
		for typ := range p.Types() {
			seen := map[string]bool{}
			for _, m := range typ.Fields() {
				if m.Type == nil {
					t.Errorf("%s: %s.%s has no type", f.ID, typ.Name, m.Name)
					continue
				}
				if m.Type.Kind == types.BitField && uint64(m.Type.BitPos+m.Type.BitLen) > 8*m.Type.Size {
					t.Errorf("%s: %s.%s: bits %d, %d", f.ID, typ.Name, m.Name, m.Type.BitPos, m.Type.BitLen)
				}
				if seen[m.Name] || m.Offset+m.Type.Size > typ.Size {
					t.Errorf("%s: %s.%s at %#x in %#x bytes", f.ID, typ.Name, m.Name, m.Offset, typ.Size)
				}
				seen[m.Name] = true
			}
		}
	}
}

func names(list []*Profile) string {
	var out []string
	for _, p := range list {
		out = append(out, p.Family().ID)
	}
	return strings.Join(out, " ")
}

func TestFor(t *testing.T) {
	for build, want := range map[uint32]string{
		10240: "10240.0 10240", 14393: "14393.0 14393", 19041: "19041", 19045: "19041", 22000: "22000", 22631: "22621",
		26100: "26100", 19040: "", 19046: "", 9600: "", 0: "", 1<<32 - 1: "",
	} {
		if got := names(For(build)); got != want {
			t.Errorf("For(%d) = %s, want %s", build, got, want)
		}
	}
	for build, want := range map[uint32]string{19040: "18362 19041", 9600: "10240.0", 27000: "26100", 25398: "22621 26100"} {
		if got := names(Neighbours(build)); got != want {
			t.Errorf("Neighbours(%d) = %s, want %s", build, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	p := For(14393)[1]
	for size, want := range map[uint64]bool{0x7c8: true, 0x7d0: true, 0x7b0: false, 0x800: false} {
		if p.HasSize("_EPROCESS", size) != want {
			t.Errorf("_EPROCESS of %#x bytes: want %v", size, want)
		}
	}
	if p := For(22621)[0]; !p.HasSize("_KPRCB", 0xc000) || p.HasSize("_KPRCB", 0x600) || !p.HasSize("_NO_TYPE", 1) {
		t.Error("a size that is not known, or of no type, is refused")
	}
	cut := p.Cut("_EPROCESS", 0x500)
	typ, _ := cut.Type("_EPROCESS")
	if typ.Has("Vm") || typ.Has("ExitTime") || !typ.Has("CommitCharge") {
		t.Error("Cut leaves members behind the cut, or takes others")
	}
	if typ, _ := p.Type("_EPROCESS"); !typ.Has("Vm") {
		t.Error("Cut changes the profile itself")
	}
}

// Types are lazy and refer to one another.
func TestTypes(t *testing.T) {
	p := For(19041)[0]
	typ, ok := p.Type("_EPROCESS")
	if !ok {
		t.Fatal("no _EPROCESS")
	}
	o := types.NewObject(nil, typ, 0x1000)
	if f := o.Field("Pcb.DirectoryTableBase"); f.Err() != nil || f.Addr() != 0x1028 || f.Type().Size != 8 {
		t.Errorf("Pcb.DirectoryTableBase: %#x, %v", f.Addr(), f.Err())
	}
	if f := o.Field("ImageFileName"); f.Type().Kind != types.Array || f.Type().Size != 15 {
		t.Errorf("ImageFileName: %v", f.Type())
	}
	if f := o.Field("ObjectTable"); f.Type().Elem().Name != "_HANDLE_TABLE" {
		t.Errorf("ObjectTable: %v", f.Type())
	}
	if f := o.Field("NoSuchMember"); f.Err() == nil {
		t.Error("a member that is not in the table was found")
	}
	reasons, _ := p.Type("_KWAIT_REASON")
	if e := reasons.Enumerators(); len(e) < 38 || e[37].Name != "WrAlertByThreadId" || e[37].Value != 37 {
		t.Errorf("wait reasons: %v", e)
	}
}

func FuzzFacts(f *testing.F) {
	f.Add("family 1 1-2 x | y\n_A struct 10\n_A.B bits32 4:3:5\n_A.C u8[3] 8\n_A.D *_A 0\n")
	f.Add("family 1 1-2 x | y\n_A struct -\n_A.B _A 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		facts, err := parseFacts(text)
		if err != nil {
			return
		}
		for _, r := range facts.rows {
			if len(r.values) != len(facts.families) {
				t.Fatalf("%s has %d values for %d families", r.name(), len(r.values), len(facts.families))
			}
			for _, v := range r.values {
				if again, err := parseValue(v.String()); err != nil || again != v {
					t.Fatalf("%s: %v is read again as %v, %v", r.name(), v, again, err)
				}
			}
		}
	})
}
