package pdb

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kdap/engine/types"
)

func pubRec(name string, off uint32) []byte {
	return rec(SPub32, u32s(PubFunction, off), u16s(1), z(name))
}

// sample is a small whole PDB: types with a forward reference, two publics, a
// procedure with a variable and an inlined function, lines.
func sample() parts {
	p := parts{names: cat([]byte{0}, z("a.c"))}
	p.tpi = cat(
		rec(lfStructure, u16s(0, propForward), u32s(0, 0, 0), u16s(0), z("S")),                                                          // 1000
		rec(lfPointer, u32s(0x1000, 0x1000c)),                                                                                           // 1001
		rec(lfFieldList, rec(lfMember)[2:4], u16s(3), u32s(0x1001), u16s(0), z("next"), u16s(lfMember, 3), u32s(0x74), u16s(8), z("n")), // 1002
		rec(lfStructure, u16s(2, 0), u32s(0x1002, 0, 0), u16s(16), z("S")),                                                              // 1003
		rec(lfArgList, u32s(1, 0x1001)),                                                                                                 // 1004
		rec(lfProcedure, u32s(0x74), []byte{0, 0}, u16s(1), u32s(0x1004)),                                                               // 1005
	)
	p.ipi = rec(lfFuncID, u32s(0, 0x1005), z("inner"))
	p.symrecs = cat(pubRec("main", 0x10), pubRec("other", 0x80))
	p.publics = []uint32{0, uint32(len(pubRec("main", 0)))}
	g := uint32(len(p.symrecs))
	p.symrecs = cat(p.symrecs, rec(SProcRef, u32s(0, 4), u16s(1), z("main")))
	p.globals = []uint32{g}
	proc := func(end uint32) []byte {
		return rec(SGProc32, u32s(0, end, 0, 0x40, 4, 0x3c, 0x1005, 0x10), u16s(1), []byte{0}, z("main"))
	}
	body := cat(
		rec(SLocal, u32s(0x1001), u16s(LocalParam), z("s")),
		rec(SDefRangeRel, u16s(RegRSP, 0), u32s(0x30, 0x10), u16s(1, 0x20), u16s(4, 2)),
		rec(SInlineSite, u32s(4, 0, 0x1000), []byte{baChangeCodeOffset, 8, baChangeCodeLength, 4, 0, 0}),
		rec(SInlineEnd),
	)
	p.module = cat(proc(uint32(4+len(proc(0))+len(body))), body, rec(SEnd))
	p.c13 = cat(
		u32s(subFileChecks, 8), u32s(1), []byte{0, 0, 0, 0},
		u32s(subInlineeLines, 16), u32s(0, 0x1000, 0, 30),
		u32s(subLines, 12+12+16), u32s(0x10), u16s(1, 0), u32s(0x40), u32s(0, 2, 28), u32s(0, 0x80000005, 8, 0x80000006),
	)
	return p
}

// TestSample reads the small PDB back: the writer shares no code with the reader.
func TestSample(t *testing.T) {
	f, err := New(sample().build())
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := f.NearestPublic(0x1044); !ok || s.Name != "main" || s.RVA != 0x1010 {
		t.Errorf("NearestPublic: %v %v", s, ok)
	}
	if s, ok := f.NextPublic(0x1044); !ok || s.Name != "other" {
		t.Errorf("NextPublic: %v %v", s, ok)
	}
	typ, ok := f.Type("S")
	if !ok || typ.Forward || typ.Size != 16 || len(typ.Fields()) != 2 || typ.Fields()[0].Type.Elem() != typ {
		t.Errorf("Type: %v %v", typ, ok)
	}
	p, ok := f.ProcAt(0x1020)
	if !ok || p.Name != "main" {
		t.Fatalf("ProcAt: %v %v", p, ok)
	}
	body, err := p.Body()
	if err != nil || len(body.Locals) != 1 || len(body.Locals[0].At(0x1014)) != 0 || len(body.Locals[0].At(0x1016)) != 1 {
		t.Errorf("Body: %+v %v", body, err)
	}
	in := p.InlinesAt(0x1019)
	if len(in) != 1 || in[0].Name != "inner" || in[0].Type().Kind != types.Function {
		t.Fatalf("InlinesAt: %v", in)
	}
	if l, ok := in[0].LineAt(0x1019); !ok || l.Number != 30 || l.File.Name != "a.c" {
		t.Errorf("inline line: %v %v", l, ok)
	}
	if l, ok := f.LineAt(0x101a); !ok || l.Number != 6 || l.RVA != 0x1018 || l.Size != 0x38 {
		t.Errorf("LineAt: %v %v", l, ok)
	}
	for l := range f.LinesOf("A.C") {
		if l.Number != 5 && l.Number != 6 {
			t.Errorf("LinesOf: %v", l)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.Type("S"); ok {
		t.Error("a closed file still answers")
	}
}

// TestBroken gives files that lie; each must be refused in words or read as
// far as it goes, soon.
func TestBroken(t *testing.T) {
	selfArray := sample()
	selfArray.tpi = cat(rec(lfArray, u32s(0x1000, 0x74), u16s(8), z("")), rec(lfModifier, u32s(0x1001), u16s(1)))
	cyclic := sample()
	cyclic.tpi = cat(
		rec(lfStructure, u16s(1, 0), u32s(0x1001, 0, 0), u16s(16), z("S")),
		rec(lfFieldList, u16s(lfIndex, 0), u32s(0x1001)),
	)
	tooMany := sample()
	tooMany.tpiEnd = 0xffffffff
	noEnd := sample()
	noEnd.module = noEnd.module[:len(noEnd.module)-4]
	badEnd := sample()
	badEnd.module = append([]byte(nil), badEnd.module...)
	copy(badEnd.module[8:], u32s(4))
	badHash := sample()
	badHash.rawPublics = u32s(0xffffffff, 0xffffffff, 0, 0, 0, 0, 0)
	badLines := sample()
	badLines.c13 = cat(u32s(subLines, 0xfffffff0), badLines.c13[:20])
	minimal := sample()
	minimal.feature = featMinimal
	tests := []struct {
		name, err string
		data      []byte
	}{
		{"empty", "not a PDB", nil},
		{"text", "not a PDB", []byte("hello, world\n")},
		{"portable", "portable PDB", []byte("BSJB\x01\x00\x01\x00")},
		{"old", "PDB 2.00", []byte(msf2Magic)},
		{"compressed", "MSFZ", []byte("Microsoft MSFZ Container\r\n\x1aALD\x00\x00")},
		{"superblock only", "MSF", []byte(msfMagic)},
		{"cut off", "MSF directory", sample().build()[:600]},
		{"fastlink", "FASTLINK", minimal.build()},
		{"self array", "", selfArray.build()},
		{"cyclic field list", "", cyclic.build()},
		{"too many types", "", tooMany.build()},
		{"procedure without end", "", noEnd.build()},
		{"procedure ends before it starts", "", badEnd.build()},
		{"public hash", "", badHash.build()},
		{"lines", "", badLines.build()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := New(tt.data)
			if err != nil {
				if tt.err == "" || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %q, want %q", err, tt.err)
				}
				return
			}
			if tt.err != "" {
				t.Fatalf("opened, want an error with %q", tt.err)
			}
			exercise(t, f)
		})
	}
}

// exercise asks everything of a file. It is bounded, so that what does not
// end is seen as such.
func exercise(t testing.TB, f *File) {
	t.Helper()
	start := time.Now()
	limit := 3000
	more := func() bool { limit--; return limit > 0 }
	_ = f.ID().Key()
	_ = f.HasPrivate()
	_ = f.CheckSymbols()
	for s := range f.Publics() {
		if got, ok := f.LookupPublicFold(s.Name); ok && !strings.EqualFold(got.Name, s.Name) {
			t.Errorf("LookupPublicFold(%q) = %v, %v", s.Name, got, ok)
		}
		f.NearestPublic(s.RVA)
		f.NextPublic(s.RVA)
		f.PublicsAt(s.RVA)
		f.NearestPrivate(s.RVA)
		f.NextPrivate(s.RVA)
		f.PrivatesAt(s.RVA)
		f.LineAt(s.RVA)
		if !more() {
			break
		}
	}
	for s := range f.PublicsByAddress() {
		if near, ok := f.NearestPublic(s.RVA); ok && near.RVA > s.RVA && len(f.omapFrom()) == 0 {
			t.Errorf("NearestPublic(%#x) is above it: %v", s.RVA, near)
		}
		if !more() {
			break
		}
	}
	limit += 3000
	for s := range f.Globals() {
		f.Resolve(s)
		f.LookupGlobal(s.Name)
		if !more() {
			break
		}
	}
	limit += 3000
	for typ := range f.Types() {
		visit(typ, 3)
		f.TypeFold(typ.Name)
		if !more() {
			break
		}
	}
	begin, end := f.TypeIndexes()
	for ti := begin; ti < end && ti < begin+3000; ti++ {
		visit(f.TypeByIndex(ti), 3)
		f.FuncID(ti)
		f.StringID(ti)
		f.BuildInfo(ti)
	}
	limit += 1000
	for p := range f.Procs() {
		body, _ := p.Body()
		body.Path(p.RVA)
		p.InlinesAt(p.RVA)
		visit(p.Type(), 2)
		if !more() {
			break
		}
	}
	limit += 3000
	for i := range f.Modules() {
		f.Compiler(i)
		for range f.Records(i) {
			if !more() {
				break
			}
		}
		for l := range f.Lines(i) {
			f.LineAt(l.RVA)
			if !more() {
				break
			}
		}
		for range f.SourceFiles(i) {
			if !more() {
				break
			}
		}
		if !more() {
			break
		}
	}
	f.Files()
	for range f.TypeSources() {
		if !more() {
			break
		}
	}
	for _, n := range f.StreamNames() {
		_, _ = f.NamedStream(n)
	}
	for _, fr := range f.FrameDataAll() {
		f.FrameDataAt(fr.RVA)
	}
	for _, fp := range f.FPOs() {
		f.FPOAt(fp.RVA)
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("took %v", d)
	}
}

func visit(typ *types.Type, depth int) {
	if typ == nil || depth == 0 {
		return
	}
	visit(typ.Elem(), depth-1)
	for i, fl := range typ.Fields() {
		if i == 50 {
			break
		}
		visit(fl.Type, depth-1)
	}
	for _, p := range typ.Func().Params {
		visit(p, depth-1)
	}
	_ = typ.Enumerators()
}

// TestDamagedSamples cuts real files short and flips bytes in them.
func TestDamagedSamples(t *testing.T) {
	dir := sharedDir(t)
	if _, err := Open(filepath.Join(dir, "samples", "fuzzed.pdb")); err == nil {
		t.Error("fuzzed.pdb was opened")
	} else if fe := (*FormatError)(nil); !errors.As(err, &fe) {
		t.Errorf("fuzzed.pdb: %v has no place", err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "samples", "minimal.pdb"))
	if err != nil {
		t.Fatal(err)
	}
	seed := uint32(1)
	next := func(n int) int {
		seed = seed*1664525 + 1013904223
		return int(seed>>8) % n
	}
	for range 300 {
		b := append([]byte(nil), data...)
		if next(4) == 0 {
			b = b[:next(len(b))]
		}
		for range next(40) {
			if len(b) > 0 {
				b[next(len(b))] ^= byte(1 << next(8))
			}
		}
		if f, err := New(b); err == nil {
			exercise(t, f)
		}
	}
}

// TestConcurrent asks the same file from several goroutines; the race
// detector sees what a test cannot.
func TestConcurrent(t *testing.T) {
	f := openTest(t, globOne(t, "samples/seh-x64/xcpt4.pdb"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { exercise(t, f) })
	}
	wg.Wait()
	a, _ := f.Type("_EXCEPTION_RECORD")
	b, _ := f.Type("_EXCEPTION_RECORD")
	if a == nil || a != b {
		t.Errorf("two types of one index: %p, %p", a, b)
	}
}
