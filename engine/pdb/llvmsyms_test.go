package pdb

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestProcsAgainstLLVM compares every procedure, its variables with their
// places, blocks and inlined functions.
func TestProcsAgainstLLVM(t *testing.T) {
	eachPDB(t, func(t *testing.T, path string, f *File) {
		var want, got []string
		procs, locals, inlines := 0, 0, 0
		depth := 0
		var proc llvmRecord
		for _, r := range llvmDump(t, path, "--symbols") {
			switch r.kind {
			case "Mod":
				depth = 0
			case "S_GPROC32", "S_LPROC32":
				procs++
				proc = r
				depth = 1
				want = append(want, fmt.Sprintf("%d %s %s size %s start %s end %s type %#x", r.module, r.name, r.addr(), r.find(`code size = (\d+)`),
					r.find(`debug start = (\d+)`), r.find(`debug end = (\d+)`), r.hex("type = `(0x[0-9A-F]+)")))
				continue
			case "S_THUNK32":
				if depth == 0 {
					depth = -1 // a thunk's records belong to no procedure
				}
			}
			if depth == -1 && strings.HasSuffix(r.kind, "_END") || depth == -1 && r.kind == "S_END" {
				depth = 0
			}
			if depth <= 0 {
				continue
			}
			text, d := llvmSymbol(&r, &proc, f)
			if text != "" {
				want = append(want, fmt.Sprintf("%d %s", depth, text))
				switch {
				case strings.HasPrefix(text, "inline"):
					inlines++
				case !strings.HasPrefix(text, "block"):
					locals++
				}
			}
			depth += d
		}
		for i := range f.Modules() {
			var byRecord []*Proc
			for _, e := range f.module(i).procs() {
				p, err := f.procAt(i, e.rec)
				if err != nil {
					t.Fatal(err)
				}
				byRecord = append(byRecord, p)
			}
			slices.SortFunc(byRecord, func(a, b *Proc) int { return int(a.RecOff) - int(b.RecOff) })
			for _, p := range byRecord {
				got = append(got, fmt.Sprintf("%d %s %s size %d start %d end %d type %#x", i, p.Name, addrText(p.Seg, p.Off), p.Size, p.DbgStart, p.DbgEnd, p.TI))
				body, err := p.Body()
				if err != nil {
					t.Errorf("%s: %v", p.Name, err)
				}
				got = append(got, scopeText(f, &body.Scope, 1)...)
				if at, ok := f.ProcAt(p.RVA); p.Size > 0 && (!ok || at.RVA != p.RVA) {
					t.Errorf("ProcAt(%#x) = %v, %v, want %s", p.RVA, at, ok, p.Name)
				}
			}
		}
		diff(t, "symbol", group(got), group(want))
		t.Logf("%d procedures, %d variables, %d inline sites", procs, locals, inlines)
	})
}

// group joins the lines of one procedure: within it our tree has variables in
// front of blocks.
func group(lines []string) []string {
	var out []string
	for _, l := range lines {
		if strings.Contains(l, " start ") {
			out = append(out, l)
		} else {
			out[len(out)-1] += "\n" + l
		}
	}
	for i := range out {
		l := strings.Split(out[i], "\n")
		slices.Sort(l[1:])
		out[i] = strings.Join(l, "\n")
	}
	return out
}

var (
	llvmRange = regexp.MustCompile(`range(?: start)? = \[?(\d+):(\d+)(?:,\+|, length = )(\d+)`)
	llvmCode  = regexp.MustCompile(`code (end )?0x([0-9A-F]+)`)
	llvmGap   = regexp.MustCompile(`\((\d+),(\d+)\)`)
)

// llvmGaps is how many gaps are compared: of a long list llvm-pdbutil prints
// the first line only.
const llvmGaps = 6

// llvmSymbol is the text of one record inside a procedure, and how it changes
// the depth of blocks.
func llvmSymbol(r, proc *llvmRecord, f *File) (text string, depth int) {
	switch r.kind {
	case "S_END", "S_INLINESITE_END", "S_PROC_ID_END":
		return "", -1
	case "S_BLOCK32":
		return fmt.Sprintf("block %s %s", rva(f, r.addr()), r.find(`code size = (\d+)`)), 1
	case "S_INLINESITE":
		in := fmt.Sprintf("inline %#x", r.hex(`inlinee = (0x[0-9A-F]+)`))
		base := proc.addr()
		seg, off, _ := strings.Cut(base, ":")
		n, _ := strconv.Atoi(off)
		var last int64
		for _, m := range llvmCode.FindAllStringSubmatch(r.text, -1) {
			at, _ := strconv.ParseInt(m[2], 16, 64)
			if m[1] != "" {
				in += fmt.Sprintf("+%d", at-last)
				continue
			}
			in += " " + rva(f, fmt.Sprintf("%s:%d", seg, n+int(at)))
			last = at
		}
		return in, 1
	case "S_LOCAL", "S_FILESTATIC":
		return fmt.Sprintf("local %s %#x", r.name, r.hex(`type ?= ?(0x[0-9A-F]+)`)), 0
	case "S_REGREL32":
		return fmt.Sprintf("local %s %#x reg %s %+d", r.name, r.hex(`type = (0x[0-9A-F]+)`), strings.ToLower(r.find(`register = (\w+)`)), int64(atoi(r.find(`offset = (-?\d+)`)))), 0
	case "S_BPREL32":
		return fmt.Sprintf("local %s %#x bp %+d", r.name, r.hex(`type = (0x[0-9A-F]+)`), atoi(r.find(`offset = (-?\d+)`))), 0
	case "S_REGISTER":
		return fmt.Sprintf("local %s %#x in %s", r.name, r.hex(`type = (0x[0-9A-F]+)`), strings.ToLower(r.find(`register = (\w+)`))), 0
	case "S_LDATA32", "S_GDATA32":
		return fmt.Sprintf("static %s %#x %s", r.name, r.hex(`type = (0x[0-9A-F]+)`), rva(f, r.addr())), 0
	case "S_CONSTANT":
		return fmt.Sprintf("const %s %s", r.name, r.find(`value = (-?\d+)`)), 0
	}
	if !strings.HasPrefix(r.kind, "S_DEFRANGE") {
		return "", 0
	}
	out := "at"
	if reg := r.find(`register = (\w+)`); reg == "unknown" { // halves of xmm registers
		n := atoi(r.find(`register = unknown \((\d+)\)`))
		out += " " + RegName(f.Machine(), uint16(n))
	} else if reg != "" {
		out += " " + strings.ToLower(reg)
	}
	if off := r.find(`(?:^|[, \n])offset = (-?\d+)`); off != "" {
		out += fmt.Sprintf(" %+d", atoi(off))
	}
	if m := llvmRange.FindStringSubmatch(r.text); m != nil {
		out += " " + rva(f, m[1]+":"+m[2]) + "+" + m[3]
		for _, g := range llvmGap.FindAllStringSubmatch(r.text, llvmGaps) {
			out += " -" + g[1] + "+" + g[2]
		}
	}
	return out, 0
}

func atoi(s string) int {
	n, _ := strconv.ParseInt(s, 10, 64)
	return int(int32(n))
}

func rva(f *File, addr string) string {
	var seg uint16
	var off uint32
	_, _ = fmt.Sscanf(addr, "%d:%d", &seg, &off)
	r, _ := f.RVA(seg, off)
	return fmt.Sprintf("%#x", r)
}

// scopeText writes a scope in the words of llvmSymbol.
func scopeText(f *File, s *Scope, depth int) []string {
	var out []string
	add := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("%d ", depth)+fmt.Sprintf(format, args...))
	}
	for i := range s.Locals {
		l := &s.Locals[i]
		switch l.Kind {
		case SLocal, SFileStatic:
			add("local %s %#x", l.Name, l.TI)
			for _, loc := range l.Locations {
				add("%s", locText(f, l, &loc))
			}
		case SRegRel32:
			add("local %s %#x reg %s %+d", l.Name, l.TI, RegName(f.Machine(), l.Locations[0].Reg), l.Locations[0].Offset)
		case SBPRel32:
			add("local %s %#x bp %+d", l.Name, l.TI, l.Locations[0].Offset)
		case SRegister:
			add("local %s %#x in %s", l.Name, l.TI, RegName(f.Machine(), l.Locations[0].Reg))
		case SLData32, SGData32:
			add("static %s %#x %#x", l.Name, l.TI, l.Locations[0].RVA)
		case SConstant:
			add("const %s %d", l.Name, int64(l.Value))
		}
	}
	for _, in := range s.Inner {
		if in.Inline == nil {
			add("block %#x %d", in.Range.RVA, in.Range.Size)
		} else {
			text := fmt.Sprintf("inline %#x", in.Inline.FuncID)
			for _, r := range in.Inline.rows {
				at, _ := f.RVA(r.seg, r.off)
				text += fmt.Sprintf(" %#x", at)
				if r.explicit {
					text += fmt.Sprintf("+%d", r.size)
				}
			}
			add("%s", text)
		}
		out = append(out, scopeText(f, in, depth+1)...)
	}
	return out
}

func locText(f *File, l *Local, loc *Location) string {
	out := "at"
	framePointer := loc.viaFrame
	if !framePointer {
		out += " " + RegName(f.Machine(), loc.Reg)
	}
	if loc.Kind == LocRegRel {
		out += fmt.Sprintf(" %+d", loc.Offset)
	}
	if !loc.Everywhere {
		out += fmt.Sprintf(" %#x+%d", loc.Range.RVA, loc.Range.Size)
		for i, g := range loc.Gaps {
			if i == llvmGaps {
				break
			}
			out += fmt.Sprintf(" -%d+%d", g.RVA-loc.Range.RVA, g.Size)
		}
	}
	return out
}

var llvmLines = regexp.MustCompile(`^ +(\d+):([0-9A-F]+)-([0-9A-F]+), line`)

// TestLinesAgainstLLVM compares every line entry of every module, and asks
// for the line at each address.
func TestLinesAgainstLLVM(t *testing.T) {
	eachPDB(t, func(t *testing.T, path string, f *File) {
		want := map[int][]string{}
		for _, r := range llvmDump(t, path, "-l") {
			mods := f.Modules()
			if r.module < 0 || r.module >= len(mods) || f.module(r.module).s == nil {
				continue // the tool repeats the last module's there
			}
			file := ""
			seg := ""
			for _, line := range strings.Split(r.text, "\n") {
				if m := llvmLines.FindStringSubmatch(line); m != nil {
					seg = m[1]
					continue
				}
				if line != "" && line[0] != ' ' {
					file = regexp.MustCompile(` \((MD5|SHA-\d+|SHA\d+|no checksum).*\)$`).ReplaceAllString(line, "")
					continue
				}
				for _, m := range regexp.MustCompile(`(\d+|ASI|NSI) ([0-9A-F]{8})`).FindAllStringSubmatch(line, -1) {
					off, _ := strconv.ParseUint(m[2], 16, 32)
					want[r.module] = append(want[r.module], fmt.Sprintf("%s %s %s", rva(f, fmt.Sprintf("%s:%d", seg, off)), m[1], file))
				}
			}
		}
		n := 0
		for i := range f.Modules() {
			var got []string
			last := map[uint32]Line{}
			for l := range f.Lines(i) {
				num := fmt.Sprint(l.Number)
				switch l.Number {
				case lineHidden:
					num = "ASI"
				case lineHidden2:
					num = "NSI"
				}
				got = append(got, fmt.Sprintf("%#x %s %s", l.RVA, num, l.File.Name))
				last[l.RVA] = l
				n++
			}
			for at, l := range last {
				if m, ok := f.ModuleAt(at); !ok || m.Index != i {
					continue // the linker folded equal functions of several modules
				}
				back, ok := f.LineAt(at)
				if hidden := l.Number == lineHidden || l.Number == lineHidden2; l.Size > 0 && (ok == hidden || ok && back.Number != l.Number) {
					t.Errorf("LineAt(%#x) = %v, %v, want %v", at, back, ok, l)
				}
			}
			slices.Sort(got)
			slices.Sort(want[i])
			diff(t, fmt.Sprintf("module %d: line", i), got, want[i])
		}
		t.Logf("%d lines", n)
	})
}
