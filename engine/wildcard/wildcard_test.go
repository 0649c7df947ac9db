package wildcard

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"nt", "NT", true},
		{"nt", "ntfs", false},
		{"nt*", "Ntfs", true},
		{"*fs", "ntfs", true},
		{"*t*s", "ntfs", true},
		{"n?fs", "ntfs", true},
		{"n?fs", "nfs", false},
		{"?????", "ntfs", false},
		{"Prog[er-t7]am", "program", true}, // the documentation's example
		{"Prog[er-t7]am", "Prog7am", true},
		{"Prog[er-t7]am", "proguam", false},
		{"Etw[A-C]*", "etwbuffer", true},
		{"a#b", "b", true},
		{"a#b", "aaab", true},
		{"a+b", "b", false},
		{"a+b", "aab", true},
		{"[0-9]+", "1803", true},
		{"[0-9]+", "", false},
		{"[0-9]#x", "x", true},
		{`rsp\+28h`, "rsp+28h", true},
		{"rsp+28h", "rsp+28h", false},
		{"rsp+28h", "rsppp28h", true},
		{`operator\[\]`, "operator[]", true},
		{"operator[]", "operator[]", true},
		{"a[b", "a[b", true},
		{`a\`, `a\`, true},
		{"+x", "+x", true},
		{"*+", "a+", true},
		{"_eprocess", "_EPROCESS", true},
		{"ÄRGER*", "ärgerlich", true},
	}
	for _, tt := range tests {
		if got := Compile(tt.pattern).Match(tt.s); got != tt.want {
			t.Errorf("%q against %q: %v", tt.pattern, tt.s, got)
		}
	}
}

func TestContains(t *testing.T) {
	line := "fffff806`72e1b900 e85b000000      call    nt!KiSwapThread+0x160 (fffff806`72e1b960)"
	for pattern, want := range map[string]bool{
		"": true, "CALL": true, "call*swapthread": true, "call    nt": true,
		"call nt": false, `\+0x160`: true, "d+0x": false, "call?": true, `b960)\`: false,
	} {
		if got := CompileContains(pattern).Match(line); got != want {
			t.Errorf("%q: %v", pattern, got)
		}
	}
}

func TestParts(t *testing.T) {
	p := Compile(`Ki\*Swap*`)
	if p.Prefix() != "ki*swap" || !p.HasWildcards() {
		t.Errorf("prefix %q, wildcards %v", p.Prefix(), p.HasWildcards())
	}
	if s, ok := Compile(`Ki\*`).Literal(); s != "ki*" || !ok {
		t.Errorf("literal %q %v", s, ok)
	}
	if Compile("nt!KiSwap").HasWildcards() || !Compile("nt!Ki?wap").HasWildcards() {
		t.Error("HasWildcards")
	}
}

// TestHostile holds the promise about time: patterns that send backtracking
// matchers into exponential work.
func TestHostile(t *testing.T) {
	start := time.Now()
	s := strings.Repeat("a", 2000) + "b"
	for _, pattern := range []string{
		strings.Repeat("a#", 500) + "c", strings.Repeat("*a", 500) + "c", strings.Repeat("[a-z]+?#", 200) + "c",
	} {
		if Compile(pattern).Match(s) {
			t.Errorf("%.20q… matched", pattern)
		}
	}
	t.Logf("took %v", time.Since(start))
}

// FuzzMatch compares with Go's regular expressions, to which each pattern is
// translated by a reader of the test's own.
func FuzzMatch(f *testing.F) {
	for _, s := range []string{"a*", "a#b+", `\*[a-c]?`, "[", "[]+", "++", "[z-a]#", "*+", "a##", "[k]ſ"} {
		f.Add(s, "aab")
		f.Add(s, "*bK")
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 60 || len(s) > 200 {
			return
		}
		pattern, s = strings.ToValidUTF8(pattern, "?"), strings.ToValidUTF8(s, "?")
		re, err := regexp.Compile(`(?is)\A(?:` + translate(pattern) + `)\z`)
		if err != nil {
			t.Fatalf("%q: %v", pattern, err)
		}
		if got, want := Compile(pattern).Match(s), re.MatchString(s); got != want {
			t.Fatalf("%q against %q: %v, regexp says %v", pattern, s, got, want)
		}
	})
}

// token finds the next unit of a pattern.
var token = regexp.MustCompile(`(?s)^(\\.|\[[^\]]+\]|.)`)

func translate(pattern string) string {
	var b strings.Builder
	atom := false
	for pattern != "" {
		tok := token.FindString(pattern)
		pattern = pattern[len(tok):]
		switch {
		case tok == "*":
			b.WriteString(".*")
			atom = false
			continue
		case tok == "?":
			b.WriteString(".")
		case tok == "#" && atom:
			b.WriteString("*")
			atom = false
			continue
		case tok == "+" && atom:
			b.WriteString("+")
			atom = false
			continue
		case len(tok) > 1 && tok[0] == '\\':
			b.WriteString(regexp.QuoteMeta(tok[1:]))
		case len(tok) > 2 && tok[0] == '[':
			b.WriteString(translateSet([]rune(tok[1 : len(tok)-1])))
		default:
			b.WriteString(regexp.QuoteMeta(tok))
		}
		atom = true
	}
	return b.String()
}

func translateSet(chars []rune) string {
	set := "["
	for i := 0; i < len(chars); i++ {
		lo, hi := chars[i], chars[i]
		if i+2 < len(chars) && chars[i+1] == '-' {
			hi = chars[i+2]
			i += 2
		}
		if lo > hi {
			lo, hi = hi, lo
		}
		set += escape(lo) + "-" + escape(hi)
	}
	return set + "]"
}

func escape(r rune) string {
	if r < 0x80 && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
		return `\x` + string("0123456789abcdef"[r>>4]) + string("0123456789abcdef"[r&15])
	}
	return string(r)
}

func BenchmarkMatch(b *testing.B) {
	p := Compile("*swap*thread")
	for b.Loop() {
		p.Match("KiSwapDirectoryTableBaseTarget")
	}
}
