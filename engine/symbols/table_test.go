package symbols

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kdap/engine/isf"
	"kdap/engine/pdb"
	"kdap/engine/pe"
)

// kernelTables opens the same kernel's symbols as PDB and as ISF table.
func kernelTables(t testing.TB) (fromPDB, fromISF *Table) {
	t.Helper()
	p, err := pdb.Open(kernelPDB(t))
	if err != nil {
		t.Fatal(err)
	}
	f, err := isf.Open(filepath.Join(sharedDir(t), "isf", kernelGUID+"-1.json.xz"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sections := func() []Section {
		var out []Section
		for _, s := range p.Sections() {
			out = append(out, Section{s.RVA, mappedSize(s.VirtualSize, s.RawSize), s.Characteristics&scnCode != 0})
		}
		return out
	}
	return NewTable(Found{PDB: p}, nil, DefaultOptions), NewTable(Found{ISF: f}, sections, DefaultOptions)
}

// TestPDBAndISFAgree: stacks must read the same whichever file is there.
func TestPDBAndISFAgree(t *testing.T) {
	a, b := kernelTables(t)
	if a.Rank != PublicPDB || b.Rank != ISFSymbols {
		t.Fatalf("ranks %s, %s", a.Rank, b.Rank)
	}
	bad := 0
	compare := func(rva uint32) {
		sa, da, oka := a.Nearest(rva)
		sb, db, okb := b.Nearest(rva)
		na, oka2 := a.Next(rva)
		nb, okb2 := b.Next(rva)
		if sa.Raw != sb.Raw || sa.Name != sb.Name || da != db || oka != okb || na.RVA != nb.RVA || na.Raw != nb.Raw || oka2 != okb2 {
			if bad++; bad < 20 {
				t.Errorf("%#x: PDB %s+%#x %v next %s, ISF %s+%#x %v next %s", rva, sa.Raw, da, oka, na.Raw, sb.Raw, db, okb, nb.Raw)
			}
		}
	}
	n := 0
	for s := range a.PDB().Publics() {
		if s.NoRVA {
			continue
		}
		n++
		compare(s.RVA)
		compare(s.RVA + 1)
		compare(s.RVA - 1)
	}
	if n < 39000 {
		t.Errorf("%d publics compared", n)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		compare(r.Uint32N(17063936 + 0x10000))
	}
	compare(0)
	compare(1<<32 - 1)
}

func TestLookupAgrees(t *testing.T) {
	a, b := kernelTables(t)
	n := 0
	for s := range a.All() {
		if n++; n%10 != 0 { // every tenth: names are the same for all of a kind
			continue
		}
		if strings.Contains(s.Raw, "@") && !strings.HasPrefix(s.Raw, "?") || strings.HasPrefix(s.Raw, "??_C@") {
			continue // the name shown stands for many
		}
		for _, name := range []string{s.Name, s.Raw, strings.ToLower(s.Raw)} {
			sa, oka := a.Lookup(name)
			sb, okb := b.Lookup(name)
			if !oka || !okb || sa.RVA != sb.RVA || !strings.EqualFold(sa.Raw, sb.Raw) {
				t.Errorf("%q: PDB %+v %v, ISF %+v %v", name, sa, oka, sb, okb)
			}
		}
	}
	for _, tt := range []struct{ name, raw string }{
		{"KeBugCheckEx", "KeBugCheckEx"},
		{"kebugcheckex", "KeBugCheckEx"},
		{"_chkstk", "__chkstk"},
		{"alloca_probe", "_alloca_probe"},
		{"__chkstk", "__chkstk"},
		{"SMKM_STORE<SM_TRAITS>::SmStWorker", "?SmStWorker@?$SMKM_STORE@USM_TRAITS@@@@SAXPEAX@Z"},
	} {
		for _, table := range []*Table{a, b} {
			if s, ok := table.Lookup(tt.name); !ok || s.Raw != tt.raw {
				t.Errorf("%s: %q = %+v, %v", table.Rank, tt.name, s, ok)
			}
		}
	}
	for _, name := range []string{"", "NoSuchName", "_", "?", "KeBugCheckEx "} {
		if s, ok := a.Lookup(name); ok {
			t.Errorf("%q found: %+v", name, s)
		}
	}
}

// The names come from WinDbg's answers to ln, k and x on the lab dump.
func TestNearestNames(t *testing.T) {
	a, b := kernelTables(t)
	for _, tt := range []struct {
		rva  uint32
		name string
		disp uint64
		next string
	}{
		{0x3f5a85, "KeBugCheckEx", 5, "KeContextToKframes"},
		{0, "VrpRegistryString", Outside, "VrpRegistryString"},
		{0xc8ce1, "setjmpexused", 0x11, "_imp_VidInitialize"},
		{0xc9000, "setjmpexused", Outside, "_imp_VidInitialize"},
		{0xe02a6f, "RtlRetpolineStubsFunctionTable", Outside, ""},
		{0xe01a71, "RtlRetpolineStubsFunctionTable", 1, ""},
		{0x261190, "HalPutDmaAdapter", 0, "ObfDereferenceObjectWithTag"},
		{0x3fe510, "_chkstk", 0, "guard_icall_bugcheck"},
		{0x30d8c0, "ExDeleteWakeTimerInfo", 0, "SMKM_STORE_MGR<SM_TRAITS>::SmFeEvictComplete"},
		{0x802000, " ?? ::NNGAKEGL::`string'", 0x31b80, "VrpInitializeNamespaceNodeList"},
	} {
		for _, table := range []*Table{a, b} {
			s, disp, ok := table.Nearest(tt.rva)
			next, _ := table.Next(tt.rva)
			if !ok || s.Name != tt.name || disp != tt.disp || next.Name != tt.next {
				t.Errorf("%s: %#x = %s+%#x next %s, want %+v", table.Rank, tt.rva, s.Name, disp, next.Name, tt)
			}
		}
	}
	// Names at one address come in the order of the publics hash.
	want := []string{"ObDereferenceObject", "ObfDereferenceObject", "PsDereferenceSiloContext", "HalPutDmaAdapter"}
	for _, table := range []*Table{a, b} {
		var got []string
		for _, s := range table.At(0x261190) {
			got = append(got, s.Name)
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: At = %q, want %q", table.Rank, got, want)
		}
	}
}

func userTable(t testing.TB, name string, opts Options) *Table {
	t.Helper()
	p, err := pdb.Open(anyPDB(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return NewTable(Found{PDB: p}, nil, opts)
}

// The rows are WinDbg's answer to x PotionShop!*.
func TestPrivateOrder(t *testing.T) {
	table := userTable(t, "PotionShop.pdb", DefaultOptions)
	if table.Rank != PrivatePDB {
		t.Fatalf("rank %s", table.Rank)
	}
	want := strings.Fields(`_fltused kinds shopName TheShop BatchesToBrew Stoker main Cashier Polish FillShelf Bell Apprentice
		mainCRTStartup BrewPotion AppendNumber TendShop Append SleepConditionVariableSRW _imp_RtlEnterCriticalSection _real
		_imp_WaitForSingleObjectEx _imp_Sleep _imp_RtlAllocateHeap WaitForSingleObjectEx _real RtlLeaveCriticalSection Sleep
		_imp_SleepConditionVariableSRW GetProcessHeap _imp_GetProcessHeap _imp_RtlLeaveCriticalSection _imp_ReadConsoleA
		RtlAllocateHeap RtlEnterCriticalSection ReadConsoleA`)
	var got []string
	sizes := map[string]uint32{}
	for s := range table.All() {
		got = append(got, s.Name)
		sizes[s.Name] = s.Size
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("order\n%q, want\n%q", got, want)
	}
	for name, size := range map[string]uint32{
		"_fltused": 4, "kinds": 0x18, "shopName": 0x26, "TheShop": 0x58, "main": 0x36, "BrewPotion": 0x268, "Sleep": 0,
	} {
		if sizes[name] != size {
			t.Errorf("%s has %#x bytes, want %#x", name, sizes[name], size)
		}
	}
}

func TestPrivateNames(t *testing.T) {
	table := userTable(t, "PotionShop.pdb", DefaultOptions)
	for _, tt := range []struct {
		rva  uint32
		name string
		disp uint64
		next string
	}{
		{0x1684, "main", 4, "mainCRTStartup"},
		{0, "BrewPotion", Outside, "BrewPotion"},
		{0x3000, "TheShop", 0, "BatchesToBrew"},
		{0x12c8, "Append", 0x58, "AppendNumber"},
		{0x2049, "_real", 1, "_real"},
		{0x21d0, "_imp_RtlLeaveCriticalSection", 8, "TheShop"},
		{0x1787, "RtlLeaveCriticalSection", 7, "shopName"},
		{0x4000, "_fltused", Outside, ""},
		{0x5fff, "_fltused", Outside, ""},
		{0x2030, "kinds", 0, "_real"},
	} {
		s, disp, ok := table.Nearest(tt.rva)
		next, _ := table.Next(tt.rva)
		if !ok || s.Name != tt.name || disp != tt.disp || next.Name != tt.next {
			t.Errorf("%#x = %s+%#x next %s, want %+v", tt.rva, s.Name, disp, next.Name, tt)
		}
	}
	if at := table.At(0x1730); len(at) != 0 {
		t.Errorf("publics are listed beside private symbols: %+v", at)
	}
	if at := userTable(t, "PotionShop.pdb", DefaultOptions&^AutoPublics).At(0x1730); len(at) != 1 || at[0].Name != "Sleep" {
		t.Errorf("without AutoPublics: %+v", at)
	}
	if s, _, _ := userTable(t, "PotionShop.pdb", DefaultOptions|PublicsOnly).Nearest(0x1684); s.Kind.IsPrivate() {
		t.Errorf("publics only: %+v", s)
	}
	if s, ok := table.Lookup("MAIN"); !ok || s.RVA != 0x1680 || s.Kind != PrivateFunction || s.Type() == nil {
		t.Errorf("MAIN = %+v, %v", s, ok)
	}
	if _, ok := userTable(t, "PotionShop.pdb", DefaultOptions&^CaseInsensitive).Lookup("MAIN"); ok {
		t.Error("MAIN is found by case")
	}
	if s, ok := table.Lookup("TheShop"); !ok || s.Type().Name != "Shop" {
		t.Errorf("TheShop = %+v, %v", s, ok)
	}
	if line, ok := table.Line(0x1684); !ok || line.Number != 79 {
		t.Errorf("line = %+v, %v", line, ok)
	}
	if p, ok := table.Proc(0x1684); !ok || p.Name != "main" {
		t.Errorf("proc = %+v, %v", p, ok)
	}
}

func TestExportTable(t *testing.T) {
	found, _ := filepath.Glob(filepath.Join(sharedDir(t), "ntdll.dll", "*", "ntdll.dll"))
	if len(found) == 0 {
		t.Skip("no ntdll.dll in the reference symbols")
	}
	im, err := pe.Open(found[0])
	if err != nil {
		t.Fatal(err)
	}
	table := NewExportTable(im, DefaultOptions)
	if table.Rank != ExportSymbols {
		t.Fatalf("rank %s", table.Rank)
	}
	ex, err := im.Exports()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range ex.Exports {
		if e.Forwarder != "" || e.Name == "" {
			continue
		}
		s, ok := table.Lookup(strings.ToUpper(e.Name))
		if !ok || s.RVA != e.RVA {
			t.Errorf("%s = %+v, %v", e.Name, s, ok)
		}
		near, disp, ok := table.Nearest(e.RVA + 1)
		if !ok || disp > 1 || near.RVA > e.RVA+1 {
			t.Errorf("near %s: %+v+%#x", e.Name, near, disp)
		}
		if next, ok := table.Next(e.RVA); ok && next.RVA-e.RVA != s.Size {
			t.Errorf("%s has size %#x, the next is at %#x", e.Name, s.Size, next.RVA)
		}
	}
	none := NewExportTable(nil, DefaultOptions)
	if _, _, ok := none.Nearest(0); ok || none.Rank != NoSymbols || none.Types() != nil {
		t.Error("a table without symbols answers")
	}
}

func TestDisplayName(t *testing.T) {
	for raw, want := range map[string]string{
		"KeBugCheckEx": "KeBugCheckEx", "_fclrf": "fclrf", "__chkstk": "_chkstk", "_": "_",
		"__imp_Sleep": "_imp_Sleep", "__real@3fc00000": "_real",
		"__xmm@ffffffffffff003fffffffffffff003f": "_xmmffffffffffff003fffffffffffff003f",
		"__@@_PchSym_@00@Kxulyqvxg@drvdb":        "__PchSym_",
		"_Function@8":                            "Function",
		"@Fast@8":                                "Fast",
		"$$10":                                   "$$10",
		"":                                       "",
	} {
		if got := DisplayName(raw); got != want {
			t.Errorf("DisplayName(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestTableConcurrent(t *testing.T) {
	a, b := kernelTables(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range uint32(2000) {
				rva := (k*7919 + uint32(i)*104729) % 0xe00000
				sa, _, _ := a.Nearest(rva)
				sb, _, _ := b.Nearest(rva)
				if sa.Raw != sb.Raw {
					t.Errorf("%#x: %s, %s", rva, sa.Raw, sb.Raw)
				}
				a.Lookup(sa.Name)
				b.Lookup(sb.Name)
			}
		})
	}
	wg.Wait()
}

func BenchmarkNearest(b *testing.B) {
	p, i := kernelTables(b)
	for name, table := range map[string]*Table{"pdb": p, "isf": i} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			rva := uint32(0)
			for b.Loop() {
				rva = (rva*1664525 + 1013904223) % 0xe00000
				table.Nearest(rva)
			}
		})
	}
}

// BenchmarkAll lists every symbol of the kernel, as x nt!* does.
func BenchmarkAll(b *testing.B) {
	p, i := kernelTables(b)
	for name, table := range map[string]*Table{"pdb": p, "isf": i} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for s := range table.All() {
					n += len(s.Name)
				}
				if n == 0 {
					b.Fatal("no names")
				}
			}
		})
	}
}
