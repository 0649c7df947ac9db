package command

import (
	"context"
	"strings"
	"time"

	"kdap/engine/expr"
)

// wordSettings are the small settings of a session: WinDbg remembers and shows
// them; few have an effect in a dump.
type wordSettings struct {
	timestamps      bool // .echotimestamps
	processorNumber bool // .echocpunum
	quiet           bool // sq
	noShell         bool // .noshell
	noExec          bool // .allow_exec_cmds 0
	noMapping       bool // .allow_image_mapping 0
	suppressMissing bool // .ignore_missing_pages
	noUnicode       bool // .typeopt -u
	longStatus      bool // .enable_long_status
	forceRadix      bool // .force_radix_output
	symbolFailures  bool // .show_sym_failures
	typeFailures    bool
	readFailures    bool   // .show_read_failures
	noInline        bool   // .inline 0
	hideInjected    bool   // .hideinjectedcode
	outputMask      uint32 // .outmask, as what differs from the default
	netsyms         string
	prompt          string // .pcmd
	filter          string // .ofilter
	suffix          string // ss
}

func settingCommands() []*Command {
	word := func(name, args, short string, run func(context.Context, *Session, *Call) error) *Command {
		return &Command{Names: []string{name}, Args: args, Short: short, Run: run}
	}
	fixed := func(name, short, answer string) *Command {
		return word(name, "", short, func(_ context.Context, s *Session, _ *Call) error {
			s.printf("%s", answer)
			return nil
		})
	}
	return []*Command{
		word(".prefer_dml", "[0|1]", "links in outputs, on or off", runPreferDML),
		word(".echotimestamps", "[0|1]", "times of events, on or off", toggle("Event timestamps are now %s\n", func(w *wordSettings) *bool { return &w.timestamps })),
		word(".echocpunum", "[0|1]", "processor numbers before debug prints, on or off", toggle("DbgPrint processor number output is now %s\n", func(w *wordSettings) *bool { return &w.processorNumber })),
		word(".allow_exec_cmds", "[0|1]", "whether commands may run the target", runAllowExec),
		word(".allow_image_mapping", "[/r] [0|1]", "whether image files stand in for pages", runAllowMapping),
		word(".ignore_missing_pages", "[0|1]", "whether missing pages are told", runMissingPages),
		word(".netsyms", "[0|1]", "symbols from the network", runNetsyms),
		word(".enable_unicode", "0|1", "show short integers as text", requiredNumber),
		word(".enable_long_status", "0|1", "long integers in the default base", numberSwitch(func(w *wordSettings) *bool { return &w.longStatus })),
		word(".force_radix_output", "0|1", "integers in the default base", numberSwitch(func(w *wordSettings) *bool { return &w.forceRadix })),
		word(".echotime", "", "show the time on this computer", runEchoTime),
		word(".pcmd", "[-s \"Commands\" | -c]", "a command run at each prompt", runPcmd),
		word(".ofilter", "[/!] [Pattern]", "which debug prints are shown", runOfilter),
		word(".sleep", "Milliseconds", "wait", runSleep),
		word(".typeopt", "[+u|-u]", "options for showing types", runTypeopt),
		word(".locale", "[Locale]", "the locale of outputs", runLocale),
		word("sq", "[e|d]", "quiet mode", runQuiet),
		word(".show_sym_failures", "[/s|/S] [/t|/T]", "whether look-ups that fail are told", runShowFailures),
		word("ss", "[n|a|w]", "the suffix symbols are tried with", runSuffix),
		word("sx", "[e|d|n|i|r] [Event]", "what happens at events: nothing in a dump", runSx),
		word(".sxcmds", "", "commands that set the event filters", func(context.Context, *Session, *Call) error { return nil }),
		fixed(".secure", "whether commands that touch the computer are off", "Secure mode disabled\n"),
		fixed(".quit_lock", "whether q needs a password", "No quit lock\n"),
		fixed(".noversion", "do not check the versions of extension DLLs", "Extension DLL system version checking is disabled\n"),
		fixed(".noengerr", "do not show errors of the engine", ""),
		word(".noshell", "", "forbid .shell", func(_ context.Context, s *Session, _ *Call) error {
			s.words.noShell = true
			s.printf("Shell commands disabled\n")
			return nil
		}),
		fixed("so", "kernel debugging options", "Debug Options: <none>\n"),
	}
}

// optionalNumber reads a number when one follows.
func (s *Session) optionalNumber(c *Call) (v uint64, given bool, err error) {
	if c.Args.Done() {
		return 0, false, nil
	}
	v, err = s.number(c.Args)
	return v, err == nil, err
}

// either is the word for a condition that holds, or for one that does not.
func either(on bool, yes, no string) string {
	if on {
		return yes
	}
	return no
}

// toggle is a word that flips a setting, or sets it when a number follows.
func toggle(text string, field func(*wordSettings) *bool) func(context.Context, *Session, *Call) error {
	return func(_ context.Context, s *Session, c *Call) error {
		v, given, err := s.optionalNumber(c)
		if err != nil {
			return err
		}
		f := field(&s.words)
		*f = !*f
		if given {
			*f = v != 0
		}
		s.printf(text, either(*f, "enabled", "disabled"))
		return nil
	}
}

// show is a word that shows a setting, after setting it when a number follows.
func (s *Session) show(c *Call, field *bool, yes, no string) error {
	v, given, err := s.optionalNumber(c)
	if err != nil {
		return err
	}
	if given {
		*field = v != 0
	}
	s.printf("%s\n", either(*field, yes, no))
	return nil
}

func runPreferDML(_ context.Context, s *Session, c *Call) error {
	return s.show(c, &s.settings.dml, "DML versions of commands on by default", "DML versions of commands off by default")
}

func runAllowExec(_ context.Context, s *Session, c *Call) error {
	allowed := !s.words.noExec
	err := s.show(c, &allowed, "Execution commands allowed", "Execution commands disallowed")
	s.words.noExec = !allowed
	return err
}

func runAllowMapping(_ context.Context, s *Session, c *Call) error {
	if strings.HasPrefix(c.Peek(), "/") {
		c.Word()
		if c.Args.Done() {
			_, err := s.number(c.Args)
			return err
		}
	}
	allowed := !s.words.noMapping
	err := s.show(c, &allowed, "Image file mapping allowed", "Image file mapping disallowed")
	s.words.noMapping = !allowed
	return err
}

func runMissingPages(_ context.Context, s *Session, c *Call) error {
	return s.show(c, &s.words.suppressMissing, "Suppress kernel summary dump missing page error message",
		"Display kernel summary dump missing page error message")
}

func runNetsyms(_ context.Context, s *Session, c *Call) error {
	v, given, err := s.optionalNumber(c)
	if err != nil {
		return err
	}
	if given {
		s.words.netsyms = either(v != 0, "yes", "no")
	}
	if s.words.netsyms == "" {
		s.words.netsyms = "don't care"
	}
	s.printf("netsyms = %s\n", s.words.netsyms)
	return nil
}

func requiredNumber(_ context.Context, s *Session, c *Call) error {
	_, err := s.number(c.Args)
	return err
}

func runEchoTime(_ context.Context, s *Session, _ *Call) error {
	s.printf("Debugger (not debuggee) time: %s\n", hostTime())
	return nil
}

func runPcmd(_ context.Context, s *Session, c *Call) error {
	if letters, ok := c.Option(); ok {
		switch letters {
		case "s":
			text, err := s.promptCommand(c)
			if err != nil {
				return err
			}
			s.words.prompt = text
			s.printf("Set prompt command\n")
		case "c":
			s.words.prompt = ""
			s.printf("Clearing prompt command\n")
		default:
			return expr.Caret("Syntax error", c.Args.Pos-len(letters))
		}
	}
	if s.words.prompt == "" {
		s.printf("No per-prompt command\n")
	} else {
		s.printf("Per-prompt command is '%s'\n", s.words.prompt)
	}
	return nil
}

// promptCommand reads a text in quotes, or a word.
func (s *Session) promptCommand(c *Call) (string, error) {
	if !c.Args.Done() && c.Args.Text[c.Args.Pos] == '"' {
		return quoted(c.Args)
	}
	return c.Word(), nil
}

// PromptCommand returns the command that .pcmd set to run before each prompt,
// "" for none. The client runs it.
func (s *Session) PromptCommand() string { return s.words.prompt }

func runOfilter(_ context.Context, s *Session, c *Call) error {
	not := false
	if strings.HasPrefix(c.Peek(), "/!") {
		not = true
		c.Word()
	}
	if !c.Args.Done() {
		s.words.filter = strings.ToUpper(c.Word())
	} else if not {
		s.words.filter = ""
	}
	switch {
	case s.words.filter == "":
		s.printf("No debuggee output filter set\n")
	case not:
		s.printf("Only display debuggee output that doesn't match '%s'\n", s.words.filter)
	default:
		s.printf("Only display debuggee output that matches '%s'\n", s.words.filter)
	}
	return nil
}

func runSleep(ctx context.Context, s *Session, c *Call) error {
	ms, err := expr.Evaluate(s.env(), c.Args, expr.DefaultKind, "Number of milliseconds")
	if err != nil {
		return err
	}
	timer := time.NewTimer(time.Duration(min(ms, 1<<31)) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func runTypeopt(_ context.Context, s *Session, c *Call) error {
	switch strings.ToLower(c.Peek()) {
	case "+u", "-u":
		s.words.noUnicode = c.Word()[0] == '-'
	}
	if s.words.noUnicode {
		s.printf("Type options : (0x0)  none\n")
		return nil
	}
	s.printf("Type options : (0x1)  uni\n  0x00000001 - TYPEOPTS_UNICODE_DISPLAY\n")
	return nil
}

func runLocale(_ context.Context, s *Session, c *Call) error {
	c.Word()
	s.printf("Locale: C\n")
	return nil
}

func runQuiet(_ context.Context, s *Session, c *Call) error {
	switch {
	case c.Args.Accept("e"):
		s.words.quiet = true
	case c.Args.Accept("d"):
		s.words.quiet = false
	default:
		s.words.quiet = !s.words.quiet
	}
	s.printf("Quiet mode is %s\n", either(s.words.quiet, "ON", "OFF"))
	return nil
}

func runSuffix(_ context.Context, s *Session, c *Call) error {
	if c.Args.Done() {
		names := map[string]string{"": "n - no suffix", "n": "n - no suffix", "a": "a - ascii", "w": "w - wide"}
		s.printf("%s\n", names[s.words.suffix])
		return nil
	}
	start := c.Args.Pos
	w := strings.ToLower(c.Word())
	if w != "n" && w != "a" && w != "w" {
		return expr.Caret("Syntax error", start)
	}
	s.words.suffix = w
	return nil
}

// runShowFailures shows two switches. Nothing is told of failures beyond what
// commands say.
func runShowFailures(_ context.Context, s *Session, c *Call) error {
	for !c.Args.Done() {
		start := c.Args.Pos
		switch c.Word() {
		case "/s":
			s.words.symbolFailures = true
		case "/S":
			s.words.symbolFailures = false
		case "/t":
			s.words.typeFailures = true
		case "/T":
			s.words.typeFailures = false
		default:
			return expr.Caret("Syntax error", start)
		}
	}
	s.printf("Show symbol lookup failures: %s\n", either(s.words.symbolFailures, "yes", "no"))
	s.printf("Show type lookup failures: %s\n", either(s.words.typeFailures, "yes", "no"))
	return nil
}

func runSx(_ context.Context, s *Session, c *Call) error {
	if c.Args.Accept("r") {
		s.printf("sx state reset to defaults\n")
		return nil
	}
	skipToSemicolon(c.Args) // a dump has no events
	return nil
}
