package expr

import "strings"

// A Cursor is a place in the text of a command line or block.
type Cursor struct {
	Text string
	Pos  int

	// cut, when not 0, is where the text ends for the expression being read:
	// the range parser ends an address at its L.
	cut int
}

// NewCursor returns a cursor at the start of text.
func NewCursor(text string) *Cursor { return &Cursor{Text: text} }

// end returns where reading must stop.
func (c *Cursor) end() int {
	if c.cut != 0 {
		return c.cut
	}
	return len(c.Text)
}

// at returns the byte at offset i from the cursor, 0 behind the end.
func (c *Cursor) at(i int) byte {
	if p := c.Pos + i; p >= 0 && p < c.end() {
		return c.Text[p]
	}
	return 0
}

// Rest returns the text from the cursor to the end.
func (c *Cursor) Rest() string { return c.from(c.Pos) }

func (c *Cursor) from(pos int) string {
	if end := c.end(); pos < end {
		return c.Text[pos:end]
	}
	return ""
}

// SkipBlanks moves over blanks and tabs.
func (c *Cursor) SkipBlanks() {
	for c.Pos < c.end() && isBlank(c.Text[c.Pos]) {
		c.Pos++
	}
}

// Done skips blanks and reports whether the command ends here: at the end of
// the text or at a semicolon.
func (c *Cursor) Done() bool {
	c.SkipBlanks()
	return c.Pos >= c.end() || c.Text[c.Pos] == ';'
}

// Extra returns the error for text behind a complete command, nil when the
// command ends at the cursor.
func (c *Cursor) Extra() error {
	if c.Done() {
		return nil
	}
	return Caret("Extra character error", c.Pos+1)
}

// Accept moves over s, compared without regard to letter case, when it stands
// at the cursor.
func (c *Cursor) Accept(s string) bool {
	if len(c.Rest()) < len(s) || !strings.EqualFold(c.Rest()[:len(s)], s) {
		return false
	}
	c.Pos += len(s)
	return true
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

func isWord(b byte) bool {
	return isDigit(b) || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '_' || b >= 0x80
}
