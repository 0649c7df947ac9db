// Package command is the debugger's console: it reads command lines as WinDbg
// does and answers them from a dump.
//
// A command is a file and a line in the table below. It parses its arguments,
// asks the engine for values and prints them; what a second command or another
// view could want is a value of package windows. A Session holds what is
// current (process, thread, frame, radix, aliases, search paths); two sessions
// on one target never disturb each other.
//
// Output is WinDbg's text and nothing else. What kdap adds is a note, which
// goes another way (Session.Note).
package command

import (
	"context"
	"errors"
	"fmt"

	"kdap/engine/expr"
)

// A Command is one word of the console.
type Command struct {
	// Names are the spellings. Dot words and extensions ("!process") ignore
	// letter case. Other words are native: their arguments may follow without
	// a blank, and the longest name that fits is taken.
	Names []string
	Args  string // syntax of the arguments, for help
	Short string // one line, for help and the manual
	Run   func(ctx context.Context, s *Session, c *Call) error

	// ExactCase says that the letters of a native name keep their case: "dD" is
	// not "dd".
	ExactCase bool
}

// A Call is one use of a command.
type Call struct {
	Name string       // as typed
	Args *expr.Cursor // stands behind the name; it ends at a semicolon or the end (Cursor.Done)

	start     int    // of the command in the text
	extension bool   // its failure does not end the line
	end       int    // of an extension's arguments
	shown     string // what errors quote as the command, "" for all of the text
	rewritten string // the text as the command left it, for z
}

// Word takes the next word of the arguments: up to a blank, a semicolon or the end.
func (c *Call) Word() string {
	if c.Args.Done() {
		return ""
	}
	start := c.Args.Pos
	for c.Args.Pos < len(c.Args.Text) && !isDelimiter(c.Args.Text[c.Args.Pos]) {
		c.Args.Pos++
	}
	return c.Args.Text[start:c.Args.Pos]
}

// Peek returns the next word without taking it.
func (c *Call) Peek() string {
	pos := c.Args.Pos
	w := c.Word()
	c.Args.Pos = pos
	return w
}

func isDelimiter(b byte) bool { return b == ' ' || b == '\t' || b == ';' }

// Option takes an option, "/x" or "-x", when one stands next, and returns its
// letters without the mark.
func (c *Call) Option() (letters string, ok bool) {
	w := c.Peek()
	if len(w) < 2 || w[0] != '/' && w[0] != '-' {
		return "", false
	}
	c.Word()
	return w[1:], true
}

// A Failure is an error in the debugger's words: its text is output.
type Failure struct {
	Text   string
	GoesOn bool // the rest of the line is run all the same
}

func (e *Failure) Error() string { return e.Text }

// Failf returns a Failure that ends its line.
func Failf(format string, args ...any) error { return &Failure{Text: fmt.Sprintf(format, args...)} }

// Tellf returns a Failure behind which the line goes on. Most of the debugger's
// own words are so: only what it could not read or evaluate ends a line.
func Tellf(format string, args ...any) error {
	return &Failure{Text: fmt.Sprintf(format, args...), GoesOn: true}
}

// ErrFailed ends a command that has printed its own failure.
var ErrFailed = errors.New("the command failed")

// ErrQuit is what Execute returns for the command that ends a session.
var ErrQuit = errors.New("quit")
