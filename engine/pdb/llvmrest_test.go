package pdb

import (
	"bytes"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// llvmLinesOf returns the lines of what llvm-pdbutil prints of a file.
func llvmLinesOf(t *testing.T, path string, args ...string) []string {
	t.Helper()
	tool, err := exec.LookPath("llvm-pdbutil-16")
	if err != nil {
		t.Skip("llvm-pdbutil-16 is not installed (package llvm-16)")
	}
	out, err := exec.Command(tool, append(append([]string{"dump"}, args...), path)...).Output()
	if err != nil {
		t.Skipf("llvm-pdbutil cannot read %s: %v", path, err)
	}
	return strings.Split(string(bytes.TrimRight(out, "\n")), "\n")
}

var (
	llvmInlinee = regexp.MustCompile(`^ +(0x[0-9A-F]+) \| +(\d+) \| (.*)$`)
	llvmHash    = regexp.MustCompile(` \((?:MD5|SHA-?\d+|no checksum)[^)]*\)$`)
	llvmContrib = regexp.MustCompile(`mod = (\d+), (\d+):(\d+), size = (\d+)`)
	llvmFile    = regexp.MustCompile(`^- (?:\(([^)]*)\) )?(.*)$`)
)

// TestInlineesAgainstLLVM compares where the inlined functions' source begins.
func TestInlineesAgainstLLVM(t *testing.T) {
	total := 0
	eachPDB(t, func(t *testing.T, path string, f *File) {
		module := -1
		want := map[string]bool{}
		for _, line := range llvmLinesOf(t, path, "--il") {
			if m := llvmModule.FindStringSubmatch(line); m != nil {
				module, _ = strconv.Atoi(m[1])
			} else if m := llvmInlinee.FindStringSubmatch(line); m != nil && f.module(module) != nil && f.module(module).s != nil {
				id, _ := strconv.ParseUint(m[1], 0, 32)
				want[fmt.Sprintf("%d %#x line %s of %s", module, id, m[2], llvmHash.ReplaceAllString(m[3], ""))] = true
			}
		}
		for i := range f.Modules() {
			ml := f.module(i).lines()
			for id, in := range ml.inlinees {
				got := fmt.Sprintf("%d %#x line %d of %s", i, id, in.line, ml.file(f, in.file).Name)
				if !want[got] {
					t.Errorf("%s: not in llvm's list", got)
				}
				delete(want, got)
			}
		}
		total += len(f.Modules())
		for w := range want {
			t.Errorf("%s: missing", w)
		}
	})
	if total == 0 {
		t.Error("nothing was compared")
	}
}

// TestIDsAgainstLLVM compares every function and string of the IPI stream.
func TestIDsAgainstLLVM(t *testing.T) {
	eachPDB(t, func(t *testing.T, path string, f *File) {
		n := 0
		for _, r := range llvmDump(t, path, "--ids") {
			id := uint32(r.num)
			switch r.kind {
			case "LF_FUNC_ID", "LF_MFUNC_ID":
				fn, ok := f.FuncID(id)
				if name := r.find(`name = (.*), (?:type|class)`); !ok || fn.Name != name && r.find(`name = ([^,]*)`) != fn.Name {
					t.Errorf("%#x: %+v, %v, want %s", id, fn, ok, r.text)
				}
				if want := r.hex(`type = (0x[0-9A-F]+)`); fn.TI != want {
					t.Errorf("%#x: type %#x, want %#x", id, fn.TI, want)
				}
			case "LF_STRING_ID":
				if s, ok := f.StringID(id); !ok || !strings.HasSuffix(s, r.find(`String: (.*)$`)) {
					t.Errorf("%#x: %q, %v, want %s", id, s, ok, r.text)
				}
			default:
				continue
			}
			n++
		}
		t.Logf("%d records", n)
	})
}

// TestContributionsAgainstLLVM compares which module each piece of the image is from.
func TestContributionsAgainstLLVM(t *testing.T) {
	eachPDB(t, func(t *testing.T, path string, f *File) {
		want := map[string]int{}
		for _, line := range llvmLinesOf(t, path, "--section-contribs") {
			if m := llvmContrib.FindStringSubmatch(line); m != nil {
				want[fmt.Sprintf("%s %s:%s+%s", m[1], m[2], m[3], m[4])]++
			}
		}
		for _, c := range f.Contributions() {
			key := fmt.Sprintf("%d %04d:%04d+%d", c.Module, c.Seg, c.Off, c.Size)
			if want[key]--; want[key] < 0 {
				t.Errorf("%s: not in llvm's list", key)
			}
			if want[key] == 0 {
				delete(want, key)
			}
			rva, ok := f.RVA(c.Seg, c.Off)
			if m, found := f.ModuleAt(rva); ok && c.Size > 0 && (!found || m.Index != int(c.Module)) {
				t.Errorf("ModuleAt(%#x) = %v, %v, want %s", rva, m, found, key)
			}
		}
		for w := range want {
			t.Errorf("%s: missing", w)
		}
	})
}

// TestFilesAgainstLLVM compares the source files of every module.
func TestFilesAgainstLLVM(t *testing.T) {
	eachPDB(t, func(t *testing.T, path string, f *File) {
		module := -1
		want := map[int][]string{}
		for _, line := range llvmLinesOf(t, path, "--files") {
			if m := llvmModule.FindStringSubmatch(line); m != nil {
				module, _ = strconv.Atoi(m[1])
			} else if m := llvmFile.FindStringSubmatch(line); m != nil && module >= 0 {
				want[module] = append(want[module], m[2])
			}
		}
		for i := range f.Modules() {
			var got []string
			for name := range f.ModuleFiles(i) {
				got = append(got, name)
			}
			diff(t, fmt.Sprintf("module %d: file", i), got, want[i])
		}
	})
}
