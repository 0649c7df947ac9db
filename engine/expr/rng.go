package expr

import "strings"

// maxRange is the largest range in bytes that needs no L?.
const maxRange = 0x10000000

// A Range is an address and how much from there on.
type Range struct {
	Addr   uint64 // first byte
	Count  uint64 // elements; for u instructions
	Given  bool   // an end or a length was given, Count is not the default
	Placed bool   // Addr was read: it stands also with an error in what followed
	ByEnd  bool   // an end address was given
	End    uint64 // ByEnd: the last byte, inclusive
}

// A RangeSpec says how a command reads its range.
type RangeSpec struct {
	ElemSize uint64 // bytes of one element, at least 1
	Default  uint64 // elements when neither end nor length is given
	// MaxUnlimited is the most bytes L? may ask for; 0 for no limit.
	MaxUnlimited uint64
	Noun         string // what is missing when there is no address; "" for "Address expression"
}

// ReadRange reads an address range: "a", "a b" with an inclusive end, "a L n",
// "a L-n", "a L?n". The L is made lower-case in the cursor's text, as error
// messages show it.
func ReadRange(env Env, c *Cursor, spec RangeSpec) (Range, error) {
	if spec.Noun == "" {
		spec.Noun = "Address expression"
	}
	spec.ElemSize = max(spec.ElemSize, 1)
	c.SkipBlanks()
	outer := c.cut
	length := findLength(c)
	if length > 0 {
		c.Text = c.Text[:length] + "l" + c.Text[length+1:]
		c.cut = length
	}
	r, err := readAddresses(env, c, spec, length > 0)
	c.cut = outer
	if err != nil || length <= 0 {
		return r, err
	}
	c.Pos = length + 1
	return readLength(env, c, spec, r.Addr)
}

// findLength returns where the L of a range stands: an L or l behind a blank,
// outside of brackets and quotes; 0 when there is none.
func findLength(c *Cursor) int {
	depth := 0
	for i := c.Pos; i < c.end(); i++ {
		switch b := c.Text[i]; {
		case b == ';', b == '"', b == '\'':
			return 0
		case b == '(', b == '[':
			depth++
		case b == ')', b == ']':
			depth--
		case (b == 'l' || b == 'L') && i > c.Pos && isBlank(c.Text[i-1]) && depth <= 0:
			return i
		}
	}
	return 0
}

// readAddresses reads the address and, unless a length follows, the end.
func readAddresses(env Env, c *Cursor, spec RangeSpec, cut bool) (Range, error) {
	addr, err := Evaluate(env, c, DefaultKind, spec.Noun)
	if err != nil {
		return Range{}, err
	}
	r := Range{Addr: addr, Count: spec.Default, Placed: true}
	behind := c.Pos
	if c.Done() {
		c.Pos = behind
		return r, nil
	}
	if c.at(0) == ',' && (c.Pos > behind || cut && strings.TrimLeft(c.Rest(), ", \t") == "") {
		// A comma divides only after a blank, or in front of one and the length.
		c.Pos++
		if c.Done() && cut {
			return r, nil
		}
	}
	end, err := Evaluate(env, c, DefaultKind, "Address expression")
	if err != nil {
		return r, err
	}
	if end < addr || end-addr >= maxRange {
		return r, Caret("Range error", c.Pos)
	}
	r.Given, r.ByEnd, r.End = true, true, end
	r.Count = (end-addr)/spec.ElemSize + 1
	return r, nil
}

// readLength reads what stands behind the L.
func readLength(env Env, c *Cursor, spec RangeSpec, addr uint64) (Range, error) {
	back, unlimited := false, false
	if c.at(0) == '-' {
		back = true
		c.Pos++
	}
	if c.at(0) == '?' {
		unlimited = true
		c.Pos++
	}
	r := Range{Addr: addr, Placed: true}
	n, err := Evaluate(env, c, DefaultKind, "Length of range")
	if err != nil {
		return r, err
	}
	bytes, over := n*spec.ElemSize, n > ^uint64(0)/spec.ElemSize
	switch {
	case !unlimited && (over || bytes > maxRange):
		return r, Caret("Range error", c.Pos)
	case unlimited && (over || spec.MaxUnlimited != 0 && bytes > spec.MaxUnlimited):
		return r, Caret("Overflow error", c.Pos)
	}
	r.Count, r.Given = n, true
	if back {
		r.Addr -= bytes
	}
	return r, nil
}

// Word reads characters up to a blank or semicolon.
func (c *Cursor) Word() string {
	c.SkipBlanks()
	rest := c.Rest()
	n := strings.IndexAny(rest, " \t;")
	if n < 0 {
		n = len(rest)
	}
	c.Pos += n
	return rest[:n]
}
