package arm64

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kdap/engine/memory"
	"kdap/engine/pe"
)

// frames are functions with frames of many shapes.
const frames = `
int g(int*,int); double h(double);
int leaf(int a){return a+1;}
int small(int a){return g(&a,1)+1;}
int big(int a){int b[3000]; b[a]=1; return g(b,2)+b[3];}
long many(long a,long b,long c,long d,int*e){long x=g(e,1),y=g(e,2),z=g(e,3),w=g(e,4),v=g(e,5),u=g(e,7);return x*y+z*w-v*a*b*c*d+u;}
double fl(double a,double b){return h(a)*b+h(b)*a;}
int va(int n,...){__builtin_va_list l;__builtin_va_start(l,n);int r=g((int*)&l,n)+__builtin_va_arg(l,int);__builtin_va_end(l);return r;}
int dyn(int n){int b[n];return g(b,n)+b[n/2];}
int cond(int a){if(a>3){int b[30];return g(b,a);}if(a==2)return g(&a,2)+g(&a,3)*2;return 7;}
int g(int*p,int n){return *p+n;} double h(double x){return x+1;}
int start(void){int i=1;return small(1)+big(2)+many(1,2,3,4,&i)+fl(1,2)+va(2,3)+cond(4)+leaf(2)+dyn(5);}
`

func tool(t *testing.T, names ...string) string {
	t.Helper()
	for _, n := range names {
		if p, err := exec.LookPath(n); err == nil {
			return p
		}
	}
	t.Skipf("%s is not installed", names[0])
	return ""
}

// built compiles the functions for ARM64 Windows and returns the image.
func built(t *testing.T, optimize string) string {
	t.Helper()
	dir := t.TempDir()
	src, obj, exe := filepath.Join(dir, "a.c"), filepath.Join(dir, "a.obj"), filepath.Join(dir, "a.exe")
	if err := os.WriteFile(src, []byte(frames), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]string{
		{tool(t, "clang", "clang-16", "clang-14"), "--target=aarch64-pc-windows-msvc", optimize, "-fno-inline", "-mno-stack-arg-probe", "-c", src, "-o", obj},
		{tool(t, "lld-link", "lld-link-16", "lld-link-14"), "/entry:start", "/subsystem:console", "/nodefaultlib", "/out:" + exe, obj},
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%s: %v\n%s", c[0], err, out)
		}
	}
	return exe
}

func functionsOf(t *testing.T, path string) *Functions {
	t.Helper()
	img, err := pe.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	dir := img.Directory(pe.DirException)
	b := make([]byte, dir.Size)
	if _, err := img.ReadRVA(dir.RVA, b); err != nil {
		t.Fatal(err)
	}
	return &Functions{Base: img.ImageBase, Pdata: b, Read: func(rva uint32, p []byte) int {
		n, _ := img.ReadRVA(rva, p)
		return n
	}}
}

// text writes a code as llvm-readobj does.
func (o op) text() string {
	register := func(n int) string {
		if o.kind == opFloat {
			return fmt.Sprintf("d%d", n)
		}
		return fmt.Sprintf("x%d", n)
	}
	switch o.kind {
	case opMove:
		return fmt.Sprintf("sub sp, #%d", o.size)
	case opSetFP:
		if o.off != 0 {
			return fmt.Sprintf("add x29, sp, #%d", o.off)
		}
		return "mov x29, sp"
	case opInt, opFloat:
		name := "str " + register(o.reg)
		if o.pair >= 0 {
			name = "stp " + register(o.reg) + ", " + register(o.pair)
		}
		if o.size != 0 {
			return fmt.Sprintf("%s, [sp, #-%d]!", name, o.size)
		}
		return fmt.Sprintf("%s, [sp, #%d]", name, o.off)
	}
	return "nop"
}

var prologue = regexp.MustCompile(`(?s)Function: 0x([0-9A-F]+)(.*?)Prologue \[(.*?)\n *\]\n`)

// TestPrologsLikeLLVM compares what is undone in the body of each function with
// what llvm-readobj prints of its unwind data.
func TestPrologsLikeLLVM(t *testing.T) {
	readobj := tool(t, "llvm-readobj", "llvm-readobj-16", "llvm-readobj-14")
	seen := 0
	for _, optimize := range []string{"-O0", "-O1", "-Os"} {
		path := built(t, optimize)
		fns := functionsOf(t, path)
		out, err := exec.Command(readobj, "--unwind", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(string(out), "RuntimeFunction {")[1:] {
			m := prologue.FindStringSubmatch(block)
			if m == nil {
				continue
			}
			var va uint64
			fmt.Sscanf(m[1], "%X", &va)
			var want []string
			for line := range strings.Lines(m[3]) {
				line = strings.TrimSpace(line)
				if _, code, ok := strings.Cut(line, "; "); ok {
					line = code
				}
				line = strings.NewReplacer(" lr", " x30", "sub sp, sp,", "sub sp,", "fp", "x29").Replace(line)
				if line != "" && line != "end" {
					want = append(want, line)
				}
			}
			start, word, ok := fns.find(uint32(va - fns.Base))
			if !ok || uint64(start) != va-fns.Base {
				t.Fatalf("no record of the function at %#x", va)
			}
			ops, err := fns.frame(start, word, uint32(len(want))*instruction, false)
			if err != nil {
				t.Errorf("%s: function at %#x: %v", optimize, va, err)
				continue
			}
			var got []string
			for _, o := range ops {
				got = append(got, o.text())
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: function at %#x (-llvm +here):\n%s\n%s", optimize, va, diff, m[2])
			}
			seen++
		}
	}
	if seen < 15 {
		t.Errorf("only %d functions were compared", seen)
	}
}

// A function that saved a pair and lr, stopped in its body and in its prolog.
func TestStep(t *testing.T) {
	const base, stack = 0x10000, 0x8000
	// stp x19,x20,[sp,#-32]!; stp fp,lr,[sp,#16]; mov fp,sp … as a record of
	// codes: set_fp, save_fplr 16, save_r19r20_x 32, end.
	xdata := binary.LittleEndian.AppendUint32(nil, 16|1<<21|1<<27)
	xdata = append(xdata, 0xe1, 0x42, 0x24, 0xe4)
	fns := &Functions{
		Base: base, Pdata: binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 0x1000), 0x2000),
		Read: func(rva uint32, p []byte) int { return copy(p, xdata[min(int(rva-0x2000), len(xdata)):]) },
	}
	var data []byte
	for _, v := range []uint64{19, 20, 29, 0x12345} {
		data = binary.LittleEndian.AppendUint64(data, v)
	}
	space := memory.NewBlocks([]memory.Block{{VA: stack, Data: data}})
	body := Context{PC: base + 0x1010, SP: stack - 0x100, FP: stack, LR: 7}
	if told, err := Step(&body, space, fns, false); err != nil || !told {
		t.Fatal(told, err)
	}
	if body.PC != 0x12345 || body.SP != stack+32 || body.FP != 29 || body.X[19] != 19 || body.X[20] != 20 {
		t.Errorf("in the body: %+v", body)
	}
	entry := Context{PC: base + 0x1000, SP: stack, LR: 0x777}
	if _, err := Step(&entry, space, fns, false); err != nil || entry.PC != 0x777 || entry.SP != stack {
		t.Errorf("at the entry: pc %#x sp %#x, %v", entry.PC, entry.SP, err)
	}
	first := Context{PC: base + 0x1004, SP: stack, LR: 0x777}
	if _, err := Step(&first, space, fns, false); err != nil || first.PC != 0x777 || first.SP != stack+32 || first.X[19] != 19 {
		t.Errorf("behind the first instruction: pc %#x sp %#x, %v", first.PC, first.SP, err)
	}
	other := Context{PC: base + 0x5000, SP: stack, LR: 0x99}
	if told, err := Step(&other, space, fns, false); told || err != nil || other.PC != 0x99 {
		t.Errorf("outside: %v, pc %#x, %v", told, other.PC, err)
	}
}

// FuzzStep: whatever the records say, a step ends and reads nothing but them.
func FuzzStep(f *testing.F) {
	f.Add([]byte{0x10, 0, 0x20, 0x08, 0xe1, 0x42, 0x24, 0xe4}, uint32(0x2000), uint32(8))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xe6, 0xe6, 0xe6, 0x24}, uint32(0x2000), uint32(0x100))
	f.Add([]byte{}, uint32(0xffffffff), uint32(4))
	f.Fuzz(func(t *testing.T, xdata []byte, word, offset uint32) {
		fns := &Functions{
			Pdata: binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 0), word),
			Read: func(rva uint32, p []byte) int {
				return copy(p, xdata[min(uint64(rva), uint64(len(xdata))):])
			},
		}
		ops, err := fns.frame(0, word, offset, false)
		if err == nil && len(ops) > 4*255+64 {
			t.Fatalf("%d codes from %d bytes", len(ops), len(xdata))
		}
		c := Context{PC: uint64(offset), SP: 0x1000}
		_, _ = Step(&c, memory.NewBlocks([]memory.Block{{VA: 0x1000, Data: make([]byte, 4096)}}), fns, false)
	})
}
