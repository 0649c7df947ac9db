package command

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"kdap/engine/expr"
	"kdap/engine/memory"
)

// A refusal is kdap's answer to a command that it will never run. It ends the line.
type refusal struct{ text string }

func (e *refusal) Error() string { return e.text }

// The sentences of refusals; %s is the command as typed.
const (
	refuseRun      = "%s needs a live target; this is a dump."
	refuseMemory   = "Memory can't be changed: a dump is read-only."
	refuseHardware = "%s reads the hardware of a live machine; this is a dump."
	refuseHost     = "%s would show the computer kdap runs on, not the dump."
	refuseProgram  = "kdap does not start programs."
	refuseFile     = "Writing files is off in this session; start kdap run or kdap shell with --output-dir to allow it."
	refuseDLL      = "kdap runs no extension DLLs; %s is not available."
	refuseBuiltIn  = "kdap runs no extension DLLs; its commands are built in."
	refuseWindow   = "%s belongs to the WinDbg window; use the editor instead."
	refuseServer   = "kdap does not start debugging servers with %s; use 'kdap dap --listen' or 'kdap engine --listen'."
	refuseTTD      = "%s needs a Time Travel trace; this is a dump."
	refuseOld      = "%s exists only for processors or Windows versions that kdap does not read."
	refuseUser     = "%s works on a user-mode dump; this is a kernel dump."
	refuseScript   = "kdap does not run debugger scripts of that kind; use command files."
)

// sentence fills in the command's name.
func sentence(text, name string) string {
	if strings.Contains(text, "%s") {
		return fmt.Sprintf(text, name)
	}
	return text
}

// A refused group is words that are refused alike. Where WinDbg answers them
// in a dump with words of its own, windbg prints or returns those, and the
// sentence is a note.
type refused struct {
	sentence string
	words    string
	windbg   func(ctx context.Context, s *Session, c *Call) error
}

// refusals are the words that kdap refuses. A command of the same name in the
// vocabulary comes first.
func refusals() []refused {
	return []refused{
		{refuseRun, "g gc gh gn gN gu p pa pc pct ph pt t ta tb tc tct th tt wt", caretAt("No runnable debuggees error", 1)},
		{refuseRun, "bp bu bm ba bc bd be bl br bs bsc b", caretAt("Operation not supported by current debuggee error", 2)},
		{refuseRun, ".bpsync .breakin .call .pagein", syntaxErrorAtEnd},
		{refuseRun, ".bpcmds ~e ~f ~m ~n ~u", quiet},
		{refuseRun, ".apply_dbp", refusedDataBreakpoints},
		{refuseRun, ".step_filter ah !bpid !ubp !ubc !ubd !ube !ubl .restart .reboot .crash .attach .detach .abandon .create " +
			".createdir .childdbg .kill .record_branches .force_tb .exdicmd", nil},
		{refuseMemory, "e ea eb ed eD ef ep eq eu ew eza ezu", refusedEnter},
		{refuseMemory, "f fp m", refusedFill},
		{refuseMemory, ".dvalloc .dvfree", syntaxErrorAtEnd},
		{refuseMemory, "a", refusedAssembly},
		{refuseMemory, "!eb !ed .closehandle", nil},
		{refuseMemory, ".readmem", refusedRead},
		{refuseHardware, "rdmsr wrmsr", refusedMSR},
		{refuseHardware, "ib iw id ob ow od", caretAt("Operation not supported in current debug session", 2)},
		{refuseHost, "!dreg !net_send !driveinfo !diskspace !homedir .netuse !igrep", nil},
		{refuseProgram, ".shell !!", refusedShell},
		{refuseProgram, ".beep", syntaxErrorAtEnd},
		{refuseProgram, ".open lse .sound_notify", nil},
		{refuseFile, ".dump .dumpcab .writemem", refusedFile},
		{refuseFile, ".write_cmd_hist .holdmem .copysym .send_file", nil},
		{refuseDLL, ".load .loadby .unload .unloadall .setdll .extpath .cordll .fiximports", refusedDLL},
		{refuseWindow, ".wtitle .idle_cmd .ocommand .cmdtree .cls", syntaxErrorAtEnd},
		{refuseWindow, ".settings", func(_ context.Context, _ *Session, c *Call) error {
			c.Args.SkipBlanks()
			return expr.Caret("Syntax error", c.Args.Pos)
		}},
		{refuseWindow, ".nvstore .event_code .lserver .process_prompt .allow_bp_ba_convert .kdfiles .kdtrans", syntaxErrorAtEnd},
		{refuseWindow, ".flash_on_break .suspend_ui .scroll_prefs .prompt_allow .wake .dbgdbg .rrestart .urestart .remote_exit", nil},
		{refuseServer, ".servers", func(_ context.Context, s *Session, _ *Call) error {
			s.printf("On the client, use any of these command lines\nNo active servers\n")
			return nil
		}},
		{refuseServer, ".server .endsrv .endpsrv .clients .remote .kdtargetmac", nil},
		{refuseScript, ".scriptload .scriptrun .scriptunload .scriptlist .scriptproviders .scriptdebug .nvlist .nvload .nvunload .nvunloadall", nil},
		{refuseTTD, "!tt !index !positions", nil},
		{refuseOld, "!pcrs !ih !ihs !btb !bth !ivt !isr !ate !npx", nil},
		{refuseUser, "!logexts !scm", nil},
	}
}

// refusedShort is the Short of a refused word.
const refusedShort = "refused"

var refusedVocabulary struct {
	once   sync.Once
	words  map[string]*Command // lower case
	native map[string]*Command // as they are
	most   int
}

func loadRefused() {
	v := &refusedVocabulary
	v.words, v.native = map[string]*Command{}, map[string]*Command{}
	for _, r := range refusals() {
		for _, word := range strings.Fields(r.words) {
			c := &Command{Names: []string{word}, Short: refusedShort, Run: func(ctx context.Context, s *Session, c *Call) error {
				return r.run(ctx, s, c)
			}}
			if word[0] == '.' || word[0] == '!' {
				v.words[word] = c
			} else {
				v.native[word] = c
				v.most = max(v.most, len(word))
			}
		}
	}
}

func (r refused) run(ctx context.Context, s *Session, c *Call) error {
	text := sentence(r.sentence, c.Name)
	if r.windbg == nil {
		return &refusal{text}
	}
	err := r.windbg(ctx, s, c)
	if err == errSentence {
		return &refusal{text}
	}
	if errors.As(err, new(*refusal)) {
		return err
	}
	s.notef("%s", text)
	return err
}

// errSentence says that WinDbg has no words for this use.
var errSentence = Failf("")

func lookupRefusedWord(name string) *Command {
	refusedVocabulary.once.Do(loadRefused)
	name = strings.ToLower(name)
	if c, ok := refusedVocabulary.words[name]; ok {
		return c
	}
	if strings.HasPrefix(name, "!logexts.") {
		return refusedVocabulary.words["!logexts"]
	}
	return nil
}

func lookupRefusedNative(text string) (*Command, string, bool) {
	v := &refusedVocabulary
	v.once.Do(loadRefused)
	for n := min(v.most, len(text)); n > 0; n-- {
		if c, ok := v.native[text[:n]]; ok {
			return c, text[:n], true
		}
		if c, ok := v.native[strings.ToLower(text[:n])]; ok {
			return c, text[:n], true
		}
	}
	return nil, "", false
}

// caretAt answers with an error that points n characters behind the command's
// start, whatever follows.
func caretAt(text string, n int) func(context.Context, *Session, *Call) error {
	return func(_ context.Context, _ *Session, c *Call) error {
		return expr.Caret(text, min(c.start+n, len(c.Args.Text)))
	}
}

// syntaxErrorAtEnd is WinDbg's answer to words of its window and of live sessions.
func syntaxErrorAtEnd(_ context.Context, _ *Session, c *Call) error {
	skipToSemicolon(c.Args)
	return expr.Caret("Syntax error", c.Args.Pos)
}

func quiet(_ context.Context, _ *Session, c *Call) error {
	skipToSemicolon(c.Args)
	return nil
}

func refusedDataBreakpoints(_ context.Context, _ *Session, c *Call) error {
	if !c.Args.Done() {
		skipToSemicolon(c.Args)
		return expr.Caret("Memory access error", c.Args.Pos)
	}
	return Failf("Unable to apply data breakpoints, HRESULT 0x8000FFFF")
}

// refusedAssembly tells of a wrong address first.
func refusedAssembly(_ context.Context, s *Session, c *Call) error {
	if !c.Args.Done() {
		if _, err := s.address(c.Args); err != nil {
			return err
		}
	}
	return &refusal{text: refuseMemory}
}

// refusedEnter reads the operands of the e commands, as WinDbg does before it fails.
func refusedEnter(_ context.Context, s *Session, c *Call) error {
	addr, err := s.address(c.Args)
	if err != nil {
		return err
	}
	switch kind := strings.ToLower(c.Name[1:]); kind {
	case "a", "u", "za", "zu":
		c.Args.SkipBlanks()
		start := c.Args.Pos
		if text, err := quoted(c.Args); err == nil {
			c.shown = c.Args.Text[:start+1+len(text)]
		} else {
			skipToSemicolon(c.Args)
		}
	case "f", "d":
		if kind == "f" || c.Name[1] == 'D' {
			skipToSemicolon(c.Args) // floating point numbers
		}
	}
	for !c.Args.Done() {
		if _, err := s.number(c.Args); err != nil {
			return err
		}
	}
	return s.refusedWrite(c, s.space(), addr)
}

func refusedFill(_ context.Context, s *Session, c *Call) error {
	r, err := expr.ReadRange(s.env(), c.Args, expr.RangeSpec{ElemSize: 1})
	if err != nil {
		return err
	}
	space, target := s.space(), r.Addr
	if strings.EqualFold(c.Name, "fp") {
		space = memory.PhysicalSpace{Phys: s.env().Physical()}
	}
	if strings.EqualFold(c.Name, "m") {
		if target, err = s.address(c.Args); err != nil {
			return err
		}
		if _, err := memory.ReadUint(space, r.Addr, 1); err != nil {
			return expr.Caret("Memory access error", c.Args.Pos)
		}
	} else if c.Args.Done() {
		return expr.Caret("Syntax error", c.Args.Pos)
	}
	for !c.Args.Done() {
		if _, err := s.number(c.Args); err != nil {
			return err
		}
	}
	return s.refusedWrite(c, space, target)
}

// refusedRead is .readmem: it fails at its file before it would write.
func refusedRead(_ context.Context, s *Session, c *Call) error {
	if c.Word() == "" {
		return expr.Caret("Non-empty string required", c.Args.Pos)
	}
	skipToSemicolon(c.Args)
	return Failf("Unable to open file")
}

// refusedWrite ends a command that would write. WinDbg tries to, and fails in
// the mapped file where the memory is there.
func (s *Session) refusedWrite(c *Call, space memory.Space, target uint64) error {
	if _, err := memory.ReadUint(space, target, 1); err == nil {
		s.printf("Exception 0xc0000005 while accessing file mapping\n")
	}
	return expr.Caret("Memory access error", c.Args.Pos)
}

func refusedMSR(_ context.Context, _ *Session, c *Call) error {
	skipToSemicolon(c.Args)
	return Failf("no such msr")
}

// refusedShell refuses .shell and !!; .noshell makes WinDbg itself refuse them.
func refusedShell(_ context.Context, s *Session, c *Call) error {
	if !s.words.noShell {
		return errSentence
	}
	s.printf(".shell has been disabled\n")
	if c.Name == "!!" {
		restOf(c.Args)
	}
	return nil
}

// refusedFile refuses to write a file, when one was named.
func refusedFile(_ context.Context, s *Session, c *Call) error {
	s.skipOptions(c.Args)
	if text := strings.TrimSpace(c.Args.Text[c.start:c.Args.Pos]); c.Args.Done() && strings.EqualFold(c.Name, ".dump") &&
		(strings.HasSuffix(text, " /?") || strings.HasSuffix(text, " /m")) {
		s.printf("%s", dumpUsage)
		return nil
	}
	if c.Args.Done() {
		return expr.Caret("Non-empty string required", c.Args.Pos)
	}
	return errSentence
}

// skipOptions moves over words that begin with a slash.
func (s *Session) skipOptions(a *expr.Cursor) {
	for !a.Done() && a.Text[a.Pos] == '/' {
		a.Word()
	}
}

func refusedDLL(_ context.Context, s *Session, c *Call) error {
	name := c.Word()
	if strings.EqualFold(c.Name, ".load") && strings.EqualFold(strings.TrimSuffix(name, ".dll"), "mex") {
		s.printf("MEX commands are built in.\n")
		return nil
	}
	base := strings.ToLower(filepath.Base(strings.ReplaceAll(name, `\`, "/")))
	if extensionNames[strings.TrimSuffix(base, ".dll")] {
		skipToSemicolon(c.Args)
		return &refusal{refuseBuiltIn}
	}
	switch strings.ToLower(c.Name) {
	case ".loadby":
		if name != "" {
			skipToSemicolon(c.Args)
			return Tellf("Unable to add extension DLL: %s.dll", name)
		}
	case ".unload":
		if name != "" {
			return Tellf("No extension named '%s' in chain", name)
		}
	}
	return errSentence
}

// dumpUsage is what .dump says about itself.
const dumpUsage = `Usage: .dump [options] filename
Options are:
  /a - Create dumps for all processes (requires -u)
  /b[a] - Package dump in a CAB and delete dump
  /c <comment> - Add a comment (not supported in all formats)
  /j <addr> - Provide a JIT_DEBUG_INFO address
  /f  - Create a full dump
  /k  - Create a dump with kernel memory only
  /ka - Create a dump with active kernel and user mode memory
  /m  - Create a minidump (default)
  /o - Overwrite any existing file
  /u - Append unique identifier to dump name

Use ".hh .dump" or open debugger.chm in the debuggers directory to get
detailed documentation on this command.

`
