package source

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A Link is a Source Link map: which addresses hold the files of a program.
// The form is that of the .NET project's documentation of Source Link.
type Link struct{ rules []linkRule }

type linkRule struct {
	prefix, suffix string // of the file; suffix only counts with a wildcard
	wild           bool
	url            string
}

// maxLink bounds the JSON that is read.
const maxLink = 16 << 20

// ParseLink reads the JSON of a "sourcelink" stream.
func ParseLink(b []byte) (*Link, error) {
	if len(b) > maxLink {
		return nil, fmt.Errorf("data of Source Link of %d bytes, at most %d are read", len(b), maxLink)
	}
	var doc struct {
		Documents map[string]string `json:"documents"`
	}
	if err := json.Unmarshal(trimBOM(b), &doc); err != nil {
		return nil, fmt.Errorf("data of Source Link: %w", err)
	}
	l := &Link{}
	for file, url := range doc.Documents {
		r := linkRule{url: url}
		r.prefix, r.suffix, r.wild = strings.Cut(file, "*")
		if strings.Count(file, "*") > 1 || strings.Count(url, "*") > 1 || !r.wild && strings.Contains(url, "*") {
			continue // not a rule of the form
		}
		l.rules = append(l.rules, r)
	}
	// The rule that says more of the file wins.
	slices.SortFunc(l.rules, func(a, b linkRule) int {
		if a.wild != b.wild {
			if b.wild {
				return -1
			}
			return 1
		}
		if d := len(b.prefix) - len(a.prefix); d != 0 {
			return d
		}
		return strings.Compare(a.prefix+"*"+a.suffix, b.prefix+"*"+b.suffix)
	})
	return l, nil
}

// trimBOM cuts a byte order mark and what follows the text: streams may be
// padded with zeros.
func trimBOM(b []byte) []byte {
	s := strings.TrimPrefix(string(b), "\xef\xbb\xbf")
	return []byte(strings.TrimRight(s, "\x00"))
}

// URL returns the address of a file.
func (l *Link) URL(file string) (string, bool) {
	for _, r := range l.rules {
		if !r.wild {
			if strings.EqualFold(file, r.prefix) {
				return r.url, true
			}
			continue
		}
		if len(file) < len(r.prefix)+len(r.suffix) || !strings.EqualFold(file[:len(r.prefix)], r.prefix) ||
			!strings.EqualFold(file[len(file)-len(r.suffix):], r.suffix) {
			continue
		}
		rest := file[len(r.prefix) : len(file)-len(r.suffix)]
		return strings.Replace(r.url, "*", escapePath(strings.ReplaceAll(rest, `\`, "/")), 1), true
	}
	return "", false
}

// escapePath escapes what cannot stand in the path of an address.
func escapePath(p string) string {
	var b strings.Builder
	for i := range len(p) {
		c := p[i]
		if c == '/' || c == '-' || c == '_' || c == '.' || c == '~' ||
			c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}
