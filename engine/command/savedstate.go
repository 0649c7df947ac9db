package command

import (
	"context"

	"kdap/engine/expr"
)

// A savedState is what .push keeps for .pop: contexts and settings, and the
// user's pseudo-registers when they were asked for.
type savedState struct {
	scope    scope
	modules  moduleList
	settings settings
	words    wordSettings
	t        *[20]expr.Value
}

// maxStates bounds the states that .push keeps.
const maxStates = 1000

func savedStateCommands() []*Command {
	return []*Command{
		{Names: []string{".push"}, Args: "[/r] [/q]", Short: "keep the contexts and settings; /r: and $t0 to $t19", Run: runPush},
		{Names: []string{".pop"}, Args: "[/r] [/q]", Short: "go back to what .push kept", Run: runPop},
		{Names: []string{".outmask", ".outmask-"}, Args: "[/l] Mask | /a | /d", Short: "which kinds of output are shown: kept, all of them are", Run: runOutmask},
		{Names: []string{".inline"}, Args: "[0|1]", Short: "whether inlined functions are rows of a stack", Run: func(_ context.Context, s *Session, c *Call) error {
			on := !s.words.noInline
			err := s.show(c, &on, "Inline function stack frames on", "Inline function stack frames off")
			s.words.noInline = !on
			return err
		}},
		{Names: []string{".hideinjectedcode"}, Args: "on | off", Short: "whether code that was put into functions is hidden: a dump has none that is known", Run: runHideInjected},
		{Names: []string{".show_read_failures"}, Args: "[/x] [/X]", Short: "whether reads that fail are told", Run: runShowReadFailures},
	}
}

// stateOptions reads /r and /q.
func (c *Call) stateOptions() (registers bool, err error) {
	for !c.Args.Done() {
		start := c.Args.Pos
		switch c.Word() {
		case "/r":
			registers = true
		case "/q":
		default:
			return false, expr.Caret("Syntax error", start)
		}
	}
	return registers, nil
}

func runPush(_ context.Context, s *Session, c *Call) error {
	registers, err := c.stateOptions()
	if err != nil {
		return err
	}
	if len(s.saved) >= maxStates {
		return Failf("More than %d states are kept", maxStates)
	}
	state := savedState{scope: s.scope, modules: s.modules, settings: s.settings, words: s.words}
	if registers {
		t := s.pseudo.t
		state.t = &t
	}
	s.saved = append(s.saved, state)
	return nil
}

func runPop(_ context.Context, s *Session, c *Call) error {
	registers, err := c.stateOptions()
	if err != nil {
		return err
	}
	if len(s.saved) == 0 {
		return Failf("No state was kept with .push")
	}
	last := s.saved[len(s.saved)-1]
	s.saved = s.saved[:len(s.saved)-1]
	s.scope, s.modules, s.settings, s.words = last.scope, last.modules, last.settings, last.words
	if registers && last.t != nil {
		s.pseudo.t = *last.t
	}
	return nil
}

// defaultOutputMask is the mask that WinDbg starts with.
const defaultOutputMask = 0x3f7

func runOutmask(_ context.Context, s *Session, c *Call) error {
	mask := uint32(defaultOutputMask) ^ s.words.outputMask
	for !c.Args.Done() {
		switch w := c.Peek(); w {
		case "/l":
			c.Word()
			continue
		case "/a":
			c.Word()
			mask = 0xffffffff
		case "/d":
			c.Word()
			mask = defaultOutputMask
		default:
			v, err := s.number(c.Args)
			if err != nil {
				return err
			}
			if c.Name[len(c.Name)-1] == '-' {
				mask &^= uint32(v)
			} else {
				mask |= uint32(v)
			}
		}
	}
	s.words.outputMask = mask ^ defaultOutputMask
	s.printf("Output mask is %x\n", mask)
	return nil
}

func runHideInjected(_ context.Context, s *Session, c *Call) error {
	start := c.Args.Pos
	switch c.Word() {
	case "on":
		s.words.hideInjected = true
	case "off":
		s.words.hideInjected = false
	case "":
	default:
		return expr.Caret("Syntax error", start)
	}
	s.printf("Injected code is %s\n", either(s.words.hideInjected, "hidden", "shown"))
	return nil
}

func runShowReadFailures(_ context.Context, s *Session, c *Call) error {
	for !c.Args.Done() {
		start := c.Args.Pos
		switch c.Word() {
		case "/x":
			s.words.readFailures = true
		case "/X":
			s.words.readFailures = false
		default:
			return expr.Caret("Syntax error", start)
		}
	}
	s.printf("Show read failures: %s\n", either(s.words.readFailures, "yes", "no"))
	return nil
}
