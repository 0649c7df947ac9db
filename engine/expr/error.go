package expr

// A Form is one of the two ways WinDbg reports an error.
type Form uint8

// The forms of errors.
const (
	// QuoteForm is one line: Text 'REST', where REST is the command from the
	// failing place to the end of the line.
	QuoteForm Form = iota
	// CaretForm points into the command: blanks^ Text in 'COMMAND'. The
	// interpreter knows the prompt's width and the command, so it prints these.
	CaretForm
)

// An Error is an evaluation error in the debugger's words.
type Error struct {
	Form Form
	Text string // "Couldn't resolve error at", "Range error"
	Rest string // QuoteForm: the quoted text, "" at the end of the line
	Pos  int    // CaretForm: offset of the caret in the cursor's text
}

// Error returns the line for the quoting form, the bare text for the other.
func (e *Error) Error() string {
	switch {
	case e.Form == CaretForm:
		return e.Text
	case e.Rest == "":
		return e.Text + " '<EOL>'"
	}
	return e.Text + " '" + e.Rest + "'"
}

// Caret returns an error of the caret form at an offset of the cursor's text.
func Caret(text string, pos int) *Error { return &Error{Form: CaretForm, Text: text, Pos: pos} }

// Quote returns an error of the quoting form: text, then the cursor's text from pos on.
func Quote(text string, c *Cursor, pos int) *Error {
	return &Error{Form: QuoteForm, Text: text, Rest: c.from(pos), Pos: pos}
}
