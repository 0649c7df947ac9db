package profile

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"
)

// facts is the parsed table.
type facts struct {
	families []Family
	rows     []row
	byType   map[string][]row // members only
	named    map[string]row   // types only
}

// A row is a type (without member) or a member, with a value a family.
type row struct {
	typ, member string
	kind        string
	values      []value
}

// name spells the row as the table does.
func (r row) name() string {
	if r.member == "" {
		return r.typ
	}
	return r.typ + "." + r.member
}

// A value is a size or an offset; of bit fields the bits as well.
type value struct {
	known    bool // the family has it
	offset   uint64
	pos, len uint8
	more     [maxSizes]uint64 // other sizes that updates of the family have, 0 for none
	open     bool             // the size is not known, this much is
}

// maxSizes bounds the sizes of one type in one family, beside the first.
const maxSizes = 3

func (v value) String() string {
	if !v.known {
		return "-"
	}
	s := strconv.FormatUint(v.offset, 16)
	if v.len != 0 {
		return fmt.Sprintf("%s:%d:%d", s, v.pos, v.len)
	}
	for _, m := range v.more {
		if m != 0 {
			s += "|" + strconv.FormatUint(m, 16)
		}
	}
	if v.open {
		s += "+"
	}
	return s
}

// fits reports whether a type whose size is v may have this size.
func (v value) fits(size uint64) bool {
	if size == v.offset || v.open && size > v.offset {
		return true
	}
	for _, m := range v.more {
		if m != 0 && m == size {
			return true
		}
	}
	return false
}

const (
	structKind = "struct"
	enumKind   = "enum"
)

// parseFacts reads the table. Its lines are
//
//	family ID FIRST-LAST NAME | SOURCE
//	type KIND VALUE...          the size of a type, a value a family
//	type.member KIND VALUE...   the offset of a member, or offset:position:length
//
// all numbers but builds, positions and lengths hexadecimal, "-" for what the
// family does not have. A size may be several, "7c8|7d0", because updates let
// types grow at their end; "700+" is one of which no more is known. After #
// comes a comment.
func parseFacts(text string) (*facts, error) {
	t := &facts{byType: map[string][]row{}, named: map[string]row{}}
	scan := bufio.NewScanner(strings.NewReader(text))
	for n := 1; scan.Scan(); n++ {
		line, _, _ := strings.Cut(scan.Text(), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		var err error
		if words[0] == "family" {
			err = t.addFamily(words)
		} else {
			err = t.addRow(words)
		}
		if err != nil {
			return nil, fmt.Errorf("facts line %d: %w", n, err)
		}
	}
	return t, scan.Err()
}

func (t *facts) addFamily(words []string) error {
	if len(words) < 4 || len(t.rows) > 0 {
		return fmt.Errorf("not a family: %q", strings.Join(words, " "))
	}
	first, last, _ := strings.Cut(words[2], "-")
	f := Family{ID: words[1], column: len(t.families)}
	for _, b := range []struct {
		text string
		to   *uint32
	}{{first, &f.First}, {last, &f.Last}} {
		v, err := strconv.ParseUint(b.text, 10, 32)
		if err != nil {
			return err
		}
		*b.to = uint32(v)
	}
	name, source, _ := strings.Cut(strings.Join(words[3:], " "), "|")
	f.Name, f.Source = strings.TrimSpace(name), strings.TrimSpace(source)
	t.families = append(t.families, f)
	return nil
}

func (t *facts) addRow(words []string) error {
	if len(words) != 2+len(t.families) {
		return fmt.Errorf("%s has %d values for %d families", words[0], len(words)-2, len(t.families))
	}
	r := row{kind: words[1]}
	r.typ, r.member, _ = strings.Cut(words[0], ".")
	for _, w := range words[2:] {
		v, err := parseValue(w)
		if err != nil {
			return fmt.Errorf("%s: %w", words[0], err)
		}
		r.values = append(r.values, v)
	}
	t.rows = append(t.rows, r)
	if r.member == "" {
		t.named[r.typ] = r
	} else {
		t.byType[r.typ] = append(t.byType[r.typ], r)
	}
	return nil
}

func parseValue(text string) (value, error) {
	if text == "-" {
		return value{}, nil
	}
	v := value{known: true}
	text, v.open = strings.CutSuffix(text, "+")
	text, others, several := strings.Cut(text, "|")
	if several {
		sizes := strings.Split(others, "|")
		if len(sizes) > maxSizes {
			return v, fmt.Errorf("%q: too many sizes", text+"|"+others)
		}
		for i, s := range sizes {
			size, err := strconv.ParseUint(s, 16, 32)
			if err != nil || size == 0 {
				return v, fmt.Errorf("%q is not a size", s)
			}
			v.more[i] = size
		}
	}
	parts := strings.Split(text, ":")
	if len(parts) > 1 && (several || v.open) {
		return v, fmt.Errorf("%q is a place, not a size", text)
	}
	off, err := strconv.ParseUint(parts[0], 16, 32)
	if err != nil || len(parts) != 1 && len(parts) != 3 {
		return v, fmt.Errorf("%q is not a place", text)
	}
	v.offset = off
	if len(parts) == 3 {
		pos, err1 := strconv.ParseUint(parts[1], 10, 6)
		n, err2 := strconv.ParseUint(parts[2], 10, 7)
		if err1 != nil || err2 != nil || n == 0 || pos+n > 64 {
			return v, fmt.Errorf("%q is not a bit field", text)
		}
		v.pos, v.len = uint8(pos), uint8(n)
	}
	return v, nil
}
