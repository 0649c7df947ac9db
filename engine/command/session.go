package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"kdap/engine"
	"kdap/engine/expr"
	"kdap/engine/windows"
	"kdap/engine/windows/machine"
)

// Options say how a session starts.
type Options struct {
	// Record starts as WinDbg's bare engine does (no frame numbers, no source
	// lines), instead of as WinDbg's window.
	Record bool
	// OutputDir allows log files, in this folder only; "" forbids them.
	OutputDir string
	// ScriptFiles allows reading command files.
	ScriptFiles bool
	// DumpPath is the dump's path as the user named it.
	DumpPath string
	// FrameRegisters makes @rip and the like those of the chosen frame: views
	// show them so. In commands they are the register context's.
	FrameRegisters bool
	// Version and CommandLine are kdap's own, for the version command.
	Version, CommandLine string
}

// A Session is one client's console. It is not safe for concurrent use: a
// client runs one command at a time.
type Session struct {
	target *engine.Target
	sys    *windows.System
	opts   Options

	debuggee debuggee
	better   bool              // symbols were found that are better than the target's
	found    []*windows.Module // symbols of these were found on the session's own path

	ctx  context.Context // of the command line that runs
	out  io.Writer
	note func(text string)

	interp   interpreter
	aliases  aliases
	log      logFile
	words    wordSettings
	settings settings
	saved    []savedState // .push
	scope    scope
	initial  windows.Process // of the crashing thread
	modules  moduleList
	symbols  symbolSource
	pseudo   pseudoRegisters
	display  display
	search   searchState
	lastType string // that dt . repeats
	code     codeState
	model    modelState
	cache    cacheState
	source   sourceState
	accounts *machine.Accounts // once somebody asked for a name

	heapContext uint64 // the heap that !heap -i ENTRY takes
}

// settings are the switches that commands set.
type settings struct {
	radix   int
	cpp     bool   // .expr /s c++
	lines   bool   // .lines
	symopt  uint32 // .symopt
	kframes int    // .kframes
	numbers bool   // frame numbers without being asked, as WinDbg's window has them
	dml     bool   // .prefer_dml
	regMask registerMask
	machine string // .effmach; "" for the dump's own
}

// Symbol options, as .symopt numbers them.
const (
	symoptLines         = 0x10
	symoptNoUnqualified = 0x100
	symoptEngine        = 0x30327 // what the engine starts with
)

// defaultFrames is .kframes at the start.
const defaultFrames = 256

// NewSession starts a session on an open dump.
func NewSession(t *engine.Target, o Options) *Session {
	t = t.Latest()
	s := &Session{target: t, sys: t.System, debuggee: newDebuggee(t), opts: o, out: io.Discard, note: func(string) {}, source: newSourceState()}
	s.settings = settings{radix: 16, symopt: symoptEngine, kframes: defaultFrames, regMask: maskDefault}
	if s.ownMachine() == arm64Machine {
		s.settings.regMask = maskInteger64
	}
	if !o.Record {
		s.settings.symopt |= symoptLines
		s.settings.lines = true
		s.settings.numbers = true
	}
	s.resetScope()
	s.initial = s.scope.process
	return s
}

// Target returns the dump the session works on.
func (s *Session) Target() *engine.Target { return s.target }

// Prompt returns the prompt, "0: kd> " or "0:004> ", with ":x86" before the end
// while 32-bit code of a 64-bit system is meant.
func (s *Session) Prompt() string {
	prompt := s.debuggee.prompt(s.scope.cpu)
	if s.machine() == x86Machine && s.ownMachine() != x86Machine {
		prompt = strings.TrimSuffix(prompt, "> ") + ":x86> "
	}
	return prompt
}

// promptWidth is how far errors are moved to the right: the engine leaves the
// machine out there.
func (s *Session) promptWidth() int { return len(s.debuggee.prompt(s.scope.cpu)) }

// printf prints output.
func (s *Session) printf(format string, args ...any) { fmt.Fprintf(s.out, format, args...) }

// Note tells the user something that is not the command's output.
func (s *Session) notef(format string, args ...any) { s.note(fmt.Sprintf(format, args...)) }

// unable returns a sentence as a failure and tells its reason.
func (s *Session) unable(sentence string, reason error) error {
	s.notef("%v", reason)
	return Failf("%s", sentence)
}

// incomplete tells why a part of an answer is missing: the line goes on, but
// counts as failed.
func (s *Session) incomplete(err error) {
	s.notef("%v", err)
	s.interp.failed = true
}

// address evaluates an address in the arguments with the default evaluator.
func (s *Session) address(c *expr.Cursor) (uint64, error) { return expr.Address(s.env(), c) }

// number evaluates a number in the arguments with the default evaluator.
func (s *Session) number(c *expr.Cursor) (uint64, error) { return expr.Default(s.env(), c) }
