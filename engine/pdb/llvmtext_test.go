package pdb

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"kdap/engine/types"
)

var llvmTypeText = regexp.MustCompile("(?m)^ +(0x[0-9A-F]+)(?: \\([^)]*\\))?: `(.*)`$")

// typeTexts compares the C text of the types that occur as arguments.
func typeTexts(t *testing.T, f *File, recs []llvmRecord) {
	n := 0
	// Types whose records llvm-pdbutil does not know have no name there.
	var names []string
	f.tpi.each(func(ti uint32, leaf uint16, _ []byte) bool {
		if leaf >= lfClass2 && leaf <= lfInterface2 {
			names = append(names, f.TypeByIndex(ti).Name, "")
		}
		return true
	})
	unknown := strings.NewReplacer(names...)
	for _, r := range recs {
		if r.kind != "LF_ARGLIST" {
			continue
		}
		for _, m := range llvmTypeText.FindAllStringSubmatch(r.text, -1) {
			ti, _ := strconv.ParseUint(m[1], 0, 32)
			if ti == 0 {
				continue
			}
			n++
			want := strings.ReplaceAll(m[2], "&&", "&")
			if got := llvmText(f.TypeByIndex(uint32(ti))); got != want && unknown.Replace(got) != want {
				t.Errorf("type %#x is %q, want %q", ti, got, m[2])
			}
		}
	}
	t.Logf("%d argument types", n)
}

var llvmSimple = map[string]string{
	"unsigned int": "unsigned", "__float128": "__float128", "long double": "long double", "char16_t": "char16_t",
}

// llvmText writes a type as llvm-pdbutil does, by what our model says of it.
func llvmText(t *types.Type) string {
	mod := ""
	if t.Const {
		mod += "const "
	}
	if t.Volatile {
		mod += "volatile "
	}
	switch t.Kind {
	case types.Pointer:
		if t.Name != "" {
			return mod + t.Name
		}
		s := llvmText(t.Elem())
		if t.Reference {
			s += "&"
		} else {
			s += "*"
		}
		if t.Const {
			s += " const"
		}
		if t.Volatile {
			s += " volatile"
		}
		return s
	case types.Array:
		return t.Name
	case types.Function:
		var args []string
		for _, p := range t.Func().Params {
			args = append(args, llvmText(p))
		}
		if t.Func().Variadic {
			args = append(args, "<no type>")
		}
		class := ""
		if c := t.Func().Class; c != nil {
			class = " " + c.Name + "::"
		}
		return fmt.Sprintf("%s%s (%s)", llvmText(t.Elem()), class, strings.Join(args, ", "))
	case types.BitField:
		return llvmText(t.Elem()) + fmt.Sprintf(" : %d", t.BitLen)
	}
	if s, ok := llvmSimple[t.Name]; ok {
		return mod + s
	}
	return mod + t.Name
}
