package pdb

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kdap/engine/types"
)

// llvmDump runs llvm-pdbutil, the independent reader that everything in this
// file is compared with.
func llvmDump(t *testing.T, path string, args ...string) []llvmRecord {
	t.Helper()
	tool := ""
	for _, name := range []string{"llvm-pdbutil-16", "llvm-pdbutil", "llvm-pdbutil-14"} {
		if p, err := exec.LookPath(name); err == nil {
			tool = p
			break
		}
	}
	if tool == "" {
		t.Skip("llvm-pdbutil is not installed (package llvm-16)")
	}
	var errs bytes.Buffer
	cmd := exec.Command(tool, append(append([]string{"dump"}, args...), path)...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("llvm-pdbutil cannot read %s: %v %s", path, err, errs.String())
	}
	return parseLLVM(out)
}

// llvmRecord is one record of a dump: its head line and the text below it.
type llvmRecord struct {
	module int
	num    uint64
	kind   string
	name   string
	text   string
}

var (
	llvmHead   = regexp.MustCompile("^\\s*(0x[0-9A-F]+|\\d+) \\| (\\w+) \\[size = \\d+[^\\]]*\\](?: `(.*)`)?(.*)$")
	llvmModule = regexp.MustCompile("^\\s*Mod (\\d+) \\| `")
)

func parseLLVM(out []byte) []llvmRecord {
	var recs []llvmRecord
	module := -1
	var text strings.Builder
	flush := func() {
		if len(recs) > 0 {
			recs[len(recs)-1].text += text.String()
		}
		text.Reset()
	}
	sc := bufio.NewScanner(bytes.NewReader(out))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		line := sc.Text()
		if m := llvmModule.FindStringSubmatch(line); m != nil {
			flush()
			module, _ = strconv.Atoi(m[1])
			recs = append(recs, llvmRecord{module: module, kind: "Mod"})
			continue
		}
		if m := llvmHead.FindStringSubmatch(line); m != nil {
			flush()
			num, _ := strconv.ParseUint(m[1], 0, 64)
			recs = append(recs, llvmRecord{module: module, num: num, kind: m[2], name: m[3], text: m[4]})
			continue
		}
		text.WriteString("\n" + line)
	}
	flush()
	return recs
}

var llvmPatterns = map[string]*regexp.Regexp{}

// find returns the first group of a pattern in the record's text.
func (r *llvmRecord) find(pattern string) string {
	re := llvmPatterns[pattern]
	if re == nil {
		re = regexp.MustCompile(pattern)
		llvmPatterns[pattern] = re
	}
	if m := re.FindStringSubmatch(r.text); m != nil {
		return m[1]
	}
	return ""
}

func (r *llvmRecord) hex(pattern string) uint32 {
	n, _ := strconv.ParseUint(r.find(pattern), 0, 32)
	return uint32(n)
}

func (r *llvmRecord) addr() string { return r.find(`addr = (\d+:\d+)`) }

func addrText(seg uint16, off uint32) string { return fmt.Sprintf("%04d:%04d", seg, off) }

// eachPDB runs a test on every PDB that both readers can open.
func eachPDB(t *testing.T, fn func(t *testing.T, path string, f *File)) {
	for _, path := range allPDBs(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f, err := Open(path)
			if err != nil {
				if filepath.Base(path) != "fuzzed.pdb" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			t.Cleanup(func() { f.Close() })
			fn(t, path, f)
		})
	}
}

func diff(t *testing.T, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("%s %d of %d (want %d):\n got %s\nwant %s", what, i, len(got), len(want), g, w)
			return
		}
	}
}

func TestPublicsAgainstLLVM(t *testing.T) {
	eachPDB(t, func(t *testing.T, path string, f *File) {
		var got, want, byAddr, wantAddr []string
		at := map[string]string{}
		recs := llvmDump(t, path, "--publics", "--public-extras")
		for _, r := range recs {
			if r.kind != "S_PUB32" {
				continue
			}
			flags := r.find(`flags = (.*), addr`)
			line := r.name + " " + r.addr() + " " + flags
			want = append(want, line)
			at[fmt.Sprint(r.num)] = line
		}
		for s := range f.Publics() {
			got = append(got, s.Name+" "+addrText(s.Seg, s.Off)+" "+pubFlags(s.Flags))
			if back, ok := f.LookupPublic(s.Name); !ok || back.Name != s.Name {
				t.Errorf("LookupPublic(%q) = %v, %v", s.Name, back, ok)
			}
			if near, ok := f.NearestPublic(s.RVA); !s.NoRVA && (!ok || near.RVA != s.RVA) {
				t.Errorf("NearestPublic(%#x) = %v, %v", s.RVA, near, ok)
			}
		}
		diff(t, "public", got, want)
		if len(recs) > 0 {
			for _, m := range regexp.MustCompile(`(?m)^ *off = (\d+)$`).FindAllStringSubmatch(recs[len(recs)-1].text, -1) {
				wantAddr = append(wantAddr, at[m[1]])
			}
		}
		for s := range f.PublicsByAddress() {
			byAddr = append(byAddr, s.Name+" "+addrText(s.Seg, s.Off)+" "+pubFlags(s.Flags))
		}
		if len(wantAddr) > 0 {
			diff(t, "address map", byAddr, wantAddr)
		}
	})
}

func pubFlags(f uint32) string {
	var out []string
	for i, n := range []string{"code", "function", "managed", "msil"} {
		if f>>i&1 != 0 {
			out = append(out, n)
		}
	}
	if out == nil {
		return "none"
	}
	return strings.Join(out, " | ")
}

func TestGlobalsAgainstLLVM(t *testing.T) {
	kinds := map[uint16]string{
		SGData32: "S_GDATA32", SLData32: "S_LDATA32", SProcRef: "S_PROCREF", SLProcRef: "S_LPROCREF", SConstant: "S_CONSTANT",
		SUDT: "S_UDT", SGThread32: "S_GTHREAD32", SLThread32: "S_LTHREAD32", SDataRef: "S_DATAREF",
	}
	eachPDB(t, func(t *testing.T, path string, f *File) {
		var got, want []string
		for _, r := range llvmDump(t, path, "--globals") {
			line := r.kind + " " + r.name
			switch r.kind {
			case "S_GDATA32", "S_LDATA32", "S_GTHREAD32", "S_LTHREAD32":
				line += fmt.Sprintf(" %#x %s", r.hex(`type = (0x[0-9A-F]+)`), r.addr())
			case "S_PROCREF", "S_LPROCREF":
				line += " " + r.find(`module = (\d+)`) + " " + r.find(`offset = (\d+)`)
			case "S_CONSTANT":
				line += fmt.Sprintf(" %#x %s", r.hex(`type = (0x[0-9A-F]+)`), r.find(`value = (-?\d+)`))
			case "S_UDT":
				line += fmt.Sprintf(" %#x", r.hex(`original type = (0x[0-9A-F]+)`))
			default:
				continue
			}
			want = append(want, line)
		}
		procs := map[string]llvmRecord{}
		for _, r := range llvmDump(t, path, "--symbols") {
			procs[fmt.Sprint(r.module, " ", r.num)] = r
		}
		for s := range f.Globals() {
			line := kinds[s.Kind] + " " + s.Name
			switch s.Kind {
			case SGData32, SLData32, SGThread32, SLThread32:
				line += fmt.Sprintf(" %#x %s", s.TI, addrText(s.Seg, s.Off))
			case SProcRef, SLProcRef:
				line += fmt.Sprintf(" %d %d", s.Module, s.RecOff)
				p, ok := f.Resolve(s)
				r := procs[fmt.Sprint(s.Module-1, " ", s.RecOff)]
				if !ok || p.Name != r.name || addrText(p.Seg, p.Off) != r.addr() || fmt.Sprint(p.Size) != r.find(`code size = (\d+)`) {
					t.Errorf("%s resolved to %v, want %v", s.Name, p, r)
				}
			case SConstant:
				line += fmt.Sprintf(" %#x %d", s.TI, int64(s.Value))
			case SUDT:
				line += fmt.Sprintf(" %#x", s.TI)
			}
			got = append(got, line)
			if _, ok := f.LookupGlobal(s.Name); !ok {
				t.Errorf("LookupGlobal(%q) finds nothing", s.Name)
			}
		}
		diff(t, "global", got, want)
	})
}

func TestTypesAgainstLLVM(t *testing.T) {
	eachPDB(t, func(t *testing.T, path string, f *File) {
		recs := llvmDump(t, path, "--types")
		lists := map[uint32]*llvmRecord{}
		for i := range recs {
			if recs[i].kind == "LF_FIELDLIST" {
				lists[uint32(recs[i].num)] = &recs[i]
			}
		}
		n, members := 0, 0
		for i := range recs {
			r := &recs[i]
			if !strings.HasPrefix(r.kind, "LF_") {
				continue
			}
			n++
			ti := uint32(r.num)
			typ := f.TypeByIndex(ti)
			switch r.kind {
			case "LF_STRUCTURE", "LF_CLASS", "LF_UNION", "LF_INTERFACE":
				size, _ := strconv.ParseUint(r.find(`sizeof (\d+)`), 10, 64)
				fwd := strings.Contains(r.text, "forward ref")
				if typ.Name != r.name || typ.Size != size || typ.Forward != fwd || !typ.Kind.IsAggregate() ||
					typ.UniqueName != r.find("unique name: `(.*)`") {
					t.Errorf("%#x: %v, want %v", ti, typ, r)
				}
				if def := r.hex(`forward ref \(-> (0x[0-9A-F]+)`); def != 0 && f.resolve(ti) != def {
					t.Errorf("%#x %s resolves to %#x, want %#x", ti, r.name, f.resolve(ti), def)
				}
			case "LF_ENUM":
				if typ.Name != r.name || typ.Kind != types.Enum {
					t.Errorf("%#x: %v, want %v", ti, typ, r)
				}
			case "LF_POINTER":
				ref := f.ResolvedType(r.hex(`referent = (0x[0-9A-F]+)`))
				if typ.Kind != types.Pointer || typ.Elem() != ref || typ.Reference != strings.Contains(r.text, " ref,") {
					t.Errorf("%#x: %v to %v, want %v", ti, typ, typ.Elem(), r)
				}
			case "LF_ARRAY":
				if typ.Kind != types.Array || fmt.Sprint(typ.Size) != r.find(`size: (\d+)`) || typ.Elem() != f.ResolvedType(r.hex(`element type: (0x[0-9A-F]+)`)) {
					t.Errorf("%#x: %v, want %v", ti, typ, r)
				}
			case "LF_BITFIELD":
				if typ.Kind != types.BitField || fmt.Sprint(typ.BitPos) != r.find(`bit offset = (\d+)`) || fmt.Sprint(typ.BitLen) != r.find(`# bits = (\d+)`) {
					t.Errorf("%#x: %v, want %v", ti, typ, r)
				}
			case "LF_MODIFIER":
				if typ.Const != strings.Contains(r.text, "const") || typ.Volatile != strings.Contains(r.text, "volatile") {
					t.Errorf("%#x: %v, want %v", ti, typ, r)
				}
			case "LF_PROCEDURE", "LF_MFUNCTION":
				fn := typ.Func()
				if typ.Kind != types.Function || fn.Elem != f.ResolvedType(r.hex(`return type = (0x[0-9A-F]+)`)) {
					t.Errorf("%#x: %v, want %v", ti, typ, r)
				}
				if fmt.Sprint(len(fn.Params)) != r.find(`# args = (\d+)`) && !fn.Variadic {
					t.Errorf("%#x: %d arguments, want %v", ti, len(fn.Params), r)
				}
			}
			if list := r.hex(`field list: (0x[0-9A-F]+)`); list != 0 {
				want := llvmFields(lists, list, f)
				got := ourFields(typ)
				diff(t, fmt.Sprintf("type %#x %s: member", ti, r.name), got, want)
				members += len(want)
			}
		}
		n += newStructs(t, f)
		if n != f.TypeCount() {
			t.Errorf("%d types, want %d", f.TypeCount(), n)
		}
		t.Logf("%d records, %d members", n, members)
		typeTexts(t, f, recs)
	})
}

// llvmFields lists the members of a field list and its continuations.
func llvmFields(lists map[uint32]*llvmRecord, list uint32, f *File) []string {
	var out []string
	for guard := 0; list != 0 && lists[list] != nil && guard < 100; guard++ {
		text := lists[list].text
		list = 0
		at := regexp.MustCompile("(?m)^ +- LF_").FindAllStringIndex(text, -1)
		for i, a := range at {
			end := len(text)
			if i+1 < len(at) {
				end = at[i+1][0]
			}
			item := llvmRecord{text: text[a[0]:end]}
			switch item.find(`- (LF_\w+)`) {
			case "LF_MEMBER":
				out = append(out, fmt.Sprintf("%s %s %#x", item.find("name = `(.*)`, Type"), item.find(`offset = (\d+)`), f.resolve(item.hex(`Type = (0x[0-9A-F]+)`))))
			case "LF_STMEMBER":
				out = append(out, fmt.Sprintf("static %s %#x", item.find("name = `(.*)`, type"), f.resolve(item.hex(`type = (0x[0-9A-F]+)`))))
			case "LF_ENUMERATE":
				out = append(out, item.find(`LF_ENUMERATE \[(.* = -?\d+)\]`))
			case "LF_BCLASS":
				out = append(out, fmt.Sprintf("base %s %#x", item.find(`offset = (\d+)`), f.resolve(item.hex(`type = (0x[0-9A-F]+)`))))
			case "LF_INDEX":
				list = item.hex(`(0x[0-9A-F]+)`)
			}
		}
	}
	return out
}

func ourFields(typ *types.Type) []string {
	var out []string
	for _, e := range typ.Enumerators() {
		out = append(out, fmt.Sprintf("%s = %d", e.Name, e.Value))
	}
	for _, fl := range typ.Fields() {
		switch {
		case fl.Base:
			out = append(out, fmt.Sprintf("base %d %#x", fl.Offset, fl.Type.ID))
		case fl.Static:
			out = append(out, fmt.Sprintf("static %s %#x", fl.Name, fl.Type.ID))
		case fl.Name == "__VFN_table":
		default:
			out = append(out, fmt.Sprintf("%s %d %#x", fl.Name, fl.Offset, fl.Type.ID))
		}
	}
	return out
}

// newStructs checks the records LF_CLASS2 and its like, which llvm-pdbutil
// does not know, against themselves: the members must fill the size.
func newStructs(t *testing.T, f *File) (n int) {
	f.tpi.each(func(ti uint32, leaf uint16, _ []byte) bool {
		if leaf < lfClass2 || leaf > lfInterface2 {
			return true
		}
		n++
		typ := f.ResolvedType(ti)
		end, fields := uint64(0), 0
		for _, fl := range typ.Fields() {
			if !fl.Static {
				end = max(end, fl.Offset+fl.Type.Size)
				fields++
			}
		}
		if typ.Name == "" || !typ.Forward && (end > typ.Size || typ.Size-end >= 8 || fields > typ.MemberCount) {
			t.Errorf("%#x: %v has %d members up to %d", ti, typ, fields, end)
		}
		return true
	})
	return n
}
