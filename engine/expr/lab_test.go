package expr

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"kdap/engine/arch/amd64"
	"kdap/engine/dump"
	"kdap/engine/format"
	"kdap/engine/memory"
	"kdap/engine/pdb"
	"kdap/engine/types"
	"kdap/internal/truth"
)

// labEnv is the environment of the recorded sessions with the reference dump's
// own memory and types. Registers and module bases come from the record.
type labEnv struct {
	*testEnv
	file    *dump.File
	tr      *amd64.Paging
	kernel  memory.Space
	now     memory.Space
	modules []labModule
	locals  map[string]Symbol
	inFrame bool
}

type labModule struct {
	name string
	base uint64
	pdb  *pdb.File
}

func newLabEnv(t *testing.T, names *testEnv) *labEnv {
	t.Helper()
	f, err := dump.Open(t.Context(), truth.Dump(t, "lab19041"), dump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	e := &labEnv{testEnv: names, file: f, tr: amd64.NewPaging(amd64.PagingOptions{})}
	e.kernel = memory.NewAddressSpace(f, e.tr, amd64.CleanDTB(f.Header.DirectoryTableBase), nil)
	e.now = e.kernel
	for _, m := range [][2]string{{"nt", "ntkrnlmp.pdb"}, {"PotionShop", "PotionShop.pdb"}} {
		if base := names.symbols[strings.ToLower(m[0])].Addr; base != 0 {
			e.modules = append(e.modules, labModule{m[0], base, openPDB(t, m[1])})
		}
	}
	e.registers["$proc"] = e.pointer("_EPROCESS", e.registers["$proc"].Bits)
	e.registers["$peb"] = e.pointer("_PEB", 0)
	e.registers["$teb"] = e.pointer("_TEB", 0)
	e.registers["$retreg"] = Register{Class: Typed, Value: Constant(PointerTo(typeUChar, 8), 0)}
	e.registers["$ptrsize"] = Register{Class: Typed, Value: Constant(typeUInt, 8)}
	e.registers["$pagesize"] = Register{Class: Typed, Value: Constant(typeUInt, 4096)}
	e.registers["$exp"] = Register{Class: Typed}
	for i := range 20 {
		e.registers["$t"+strconv.Itoa(i)] = Register{Class: Typed}
	}
	e.registers["efl"] = Register{Class: Flags, Bits: 0x40046}
	e.registers["cs"] = Register{Class: Segment, Bits: 0x10}
	e.registers["xmm0"] = Register{Class: Vector}
	e.registers["st0"] = Register{Class: FloatReg}
	return e
}

func openPDB(t *testing.T, name string) *pdb.File {
	t.Helper()
	path := truth.Path(t, "symbols", name)
	for range 2 { // store layout: folders down to the file
		entries, err := os.ReadDir(path)
		if err != nil {
			break
		}
		for _, e := range entries {
			if e.IsDir() || strings.EqualFold(e.Name(), name) {
				path += "/" + e.Name()
				break
			}
		}
	}
	f, err := pdb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func (e *labEnv) pointer(name string, at uint64) Register {
	t, _ := e.Type("nt", name)
	return Register{Class: Typed, Value: Constant(PointerTo(t, 8), at)}
}

func (e *labEnv) Memory() memory.Space      { return e.now }
func (e *labEnv) Physical() memory.Physical { return e.file }

func (e *labEnv) Type(module, name string) (*types.Type, bool) {
	for _, m := range e.modules {
		if module != "" && !strings.EqualFold(module, m.name) {
			continue
		}
		if t, ok := m.pdb.Type(name); ok {
			return t, true
		}
	}
	return nil, false
}

func (e *labEnv) Symbol(name string) (Symbol, error) {
	if s, ok := e.locals[name]; ok && e.inFrame {
		return s, nil
	}
	module, rest, qualified := strings.Cut(name, "!")
	if !qualified {
		module, rest = "", name
	}
	for _, m := range e.modules {
		if module != "" && !strings.EqualFold(module, m.name) {
			continue
		}
		if s, ok := m.pdb.LookupGlobal(rest); ok && s.Kind != 0x1108 { // not a type name
			out := Symbol{Name: s.Name, Module: m.name, Addr: m.base + uint64(s.RVA)}
			switch {
			case s.Kind == pdb.SConstant:
				out.Constant, out.Bits, out.Type = true, s.Value, m.pdb.ResolvedType(s.TI)
				return out, nil
			case s.Kind == pdb.SProcRef || s.Kind == pdb.SLProcRef:
				if p, ok := m.pdb.Resolve(s); ok {
					out.Type, out.Addr = p.Type(), m.base+uint64(p.RVA)
				}
			default:
				out.Type = m.pdb.ResolvedType(s.TI)
			}
			return out, nil
		}
		if s, ok := m.pdb.LookupPublicFold(rest); ok {
			return Symbol{Name: s.Name, Module: m.name, Addr: m.base + uint64(s.RVA)}, nil
		}
	}
	return e.testEnv.Symbol(name)
}

func (e *labEnv) FunctionType(addr uint64) (*types.Type, bool) {
	for _, m := range e.modules {
		if p, ok := m.pdb.ProcAt(uint32(addr - m.base)); ok && uint64(p.RVA) == addr-m.base && p.Type() != nil {
			return p.Type(), true
		}
	}
	return nil, false
}

func (e *labEnv) SourceLine(_, file string, line int) (uint64, error) {
	for _, m := range e.modules {
		for l := range m.pdb.LinesOf(file) {
			if line > 0 && int(l.Number) == line {
				return m.base + uint64(l.RVA), nil
			}
		}
	}
	return 0, ErrNotFound
}

var localLine = regexp.MustCompile("^([0-9a-f`]{17}) @rsp\\+\\w+ +(\\w+) = ")

// tendShop learns the locals of the frame that the records look at: addresses
// from the record of dv, types from the symbol file.
func (e *labEnv) tendShop(t *testing.T) {
	t.Helper()
	e.locals = map[string]Symbol{}
	p, ok := e.modules[1].pdb.LookupGlobal("TendShop")
	if !ok {
		t.Fatal("no TendShop")
	}
	proc, ok := e.modules[1].pdb.Resolve(p)
	if !ok {
		t.Fatal("no code of TendShop")
	}
	body, err := proc.Body()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range record(t, "lab/locals.txt") {
		for _, l := range b.lines {
			m := localLine.FindStringSubmatch(l)
			if m == nil || e.locals[m[2]].Type != nil {
				continue
			}
			addr, err := strconv.ParseUint(strings.ReplaceAll(m[1], "`", ""), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			for _, local := range body.Locals {
				if local.Name == m[2] {
					e.locals[m[2]] = Symbol{Name: local.Name, Addr: addr, Type: local.Type()}
				}
			}
		}
	}
}

// process moves to the address space of another process.
func (e *labEnv) process(t *testing.T, eprocess uint64) {
	t.Helper()
	typ, _ := e.Type("nt", "_EPROCESS")
	dtb, err := types.NewObject(e.kernel, typ, eprocess).Field("Pcb.DirectoryTableBase").Uint()
	if err != nil {
		t.Fatal(err)
	}
	e.now = memory.NewAddressSpace(e.file, e.tr, amd64.CleanDTB(dtb), e.kernel)
	e.registers["$proc"] = e.pointer("_EPROCESS", eprocess)
	peb, err := types.NewObject(e.kernel, typ, eprocess).Field("Peb").Uint()
	if err != nil {
		t.Fatal(err)
	}
	e.registers["$peb"] = e.pointer("_PEB", peb)
}

// run answers one command of the record, in lines; false: not one of ours.
func (e *labEnv) run(t *testing.T, command string) ([]string, Value, bool) {
	c := NewCursor(command)
	var v Value
	var out []string
	finish := func(text string, err error) ([]string, Value, bool) {
		out = boxed(e.out.String())
		e.out.Reset()
		for l := range strings.Lines(text) {
			out = append(out, strings.TrimRight(l, " \n"))
		}
		if err == nil && !strings.HasPrefix(text, "+") {
			err = c.Extra()
		}
		if err != nil {
			out = append(out, errorLine(err, command))
		}
		return out, v, true
	}
	switch {
	case strings.HasPrefix(command, ".process "):
		n, err := strconv.ParseUint(command[strings.LastIndexByte(command, ' ')+1:], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		e.process(t, n)
	case strings.HasPrefix(command, ".frame 0a"):
		e.inFrame = true
	case strings.HasPrefix(command, ".expr /s "):
		e.cpp = strings.HasSuffix(command, "c++")
	case strings.HasPrefix(command, "r? $"), strings.HasPrefix(command, "r $"):
		name, rest, ok := strings.Cut(strings.TrimLeft(command, "r? "), "=")
		if !ok || strings.Contains(rest, ",") {
			return nil, v, false
		}
		c.Pos = strings.IndexByte(command, '=') + 1
		name = strings.TrimSpace(name)
		if _, known := e.registers[name]; !known || !strings.HasPrefix(name, "$t") {
			return nil, v, false
		}
		var err error
		if strings.HasPrefix(command, "r?") {
			v, err = Cpp(e, c)
		} else {
			var n uint64
			n, err = Default(e, c)
			v = Constant(typeUInt64, n)
		}
		if err == nil {
			e.registers[name] = Register{Class: Typed, Value: v}
		}
		return finish("", err)
	case strings.HasPrefix(command, "??"):
		c.Pos = 2
		v, err := Cpp(e, c)
		if err != nil {
			return finish("", err)
		}
		lines, _, _ := finish(Print(e, v, nil), nil)
		return lines, v, true
	case strings.HasPrefix(command, ".formats"):
		c.Pos = len(".formats")
		n, err := Default(e, c)
		if err != nil {
			return finish("", err)
		}
		return finish(Formats(n), nil)
	case strings.HasPrefix(command, "n ") || command == "n":
		c.Pos = 1
		if !c.Done() {
			r, err := Radix(c)
			if err != nil {
				return finish("", err)
			}
			e.radix = r
		}
		return finish("base is "+strconv.Itoa(e.radix), nil)
	case strings.HasPrefix(command, "?"):
		c.Pos = 1
		n, err := Default(e, c)
		if err != nil {
			return finish("", err)
		}
		return finish(format.Evaluate(n), nil)
	}
	return nil, v, false
}

// boxed shortens the starred box as the record does.
func boxed(text string) []string {
	var out []string
	in := false
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\n")
		switch {
		case strings.HasPrefix(l, "*****"):
			in = !in
		case in && strings.Contains(l, "Type referenced: "):
			_, name, _ := strings.Cut(l, "Type referenced: ")
			out = append(out, "<box: Type referenced: "+strings.TrimSpace(strings.Trim(name, "* "))+">")
		case !in:
			out = append(out, l)
		}
	}
	return out
}

// TestRecord replays the recorded sessions about expressions on the reference
// dump itself. Lines of the dt command are left to its own tests.
func TestRecord(t *testing.T) {
	known := map[string]string{
		"?? 1;2":                    "the interpreter's error",
		"? nt ; ? 1":                "two commands",
		"? 1;? 2":                   "two commands",
		"? 1 ; ? 2":                 "two commands",
		"?? @$frame":                "the session's frame",
		"? $iment(ntdll)":           "a module this test does not load",
		"? NtWaitForSingleObject":   "found in a module this test does not load",
		"?? @$teb->ClientId":        "the session's thread",
		"?? @$teb->NtTib.StackBase": "the session's thread",
		"?? @$teb->LastErrorValue":  "the session's thread",
	}
	for _, file := range []string{"lab/expressions-masm.txt", "lab/expressions-cpp.txt", "lab/expressions-user.txt", "lab/expressions-formats.txt", "lab/expressions-ranges.txt", "lab/registers-pseudo.txt"} {
		t.Run(file, func(t *testing.T) {
			all := record(t, "lab/expressions-masm.txt")
			names := learn(t, append(all, record(t, file)...))
			e := newLabEnv(t, names)
			if strings.Contains(file, "user") {
				e.tendShop(t)
			}
			checked, wrong := 0, 0
			for _, b := range record(t, file) {
				if known[b.command] != "" {
					continue
				}
				got, _, ours := e.run(t, b.command)
				if !ours {
					continue
				}
				if strings.HasPrefix(file, "lab/registers") && strings.HasPrefix(b.command, "? ") {
					continue // the values of the session's pseudo-registers change on the way
				}
				want := level(b.lines)
				got = level(got)
				checked++
				if strings.Join(got, "\n") != strings.Join(want, "\n") {
					wrong++
					t.Errorf("%s\n got %q\nwant %q", b.command, got, want)
				}
			}
			t.Logf("%d blocks checked, %d differ", checked, wrong)
		})
	}
}

var shortForm = regexp.MustCompile(`^ (\[ 0x|0x[0-9a-f]|")`)

// level leaves out what this package does not print: members, symbol loading.
func level(lines []string) []string {
	var out []string
	aggregate := false
	for i, l := range lines {
		switch {
		case strings.HasPrefix(l, "   +"), strings.HasPrefix(l, "*** "), strings.HasPrefix(l, "WARNING: Line"), l == "Last set context:":
			continue
		case aggregate && shortForm.MatchString(l), aggregate && i > 0 && strings.Contains(lines[0], "["):
			continue
		case strings.Contains(l, "] 0x"), strings.HasPrefix(l, "struct "), strings.HasPrefix(l, "union "):
			aggregate = true
		}
		out = append(out, l)
	}
	return out
}
