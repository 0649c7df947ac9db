package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/symbols"
)

func sessionCommands() []*Command {
	return []*Command{
		{Names: []string{"vertarget"}, Short: "show the system that the dump is of", Run: func(_ context.Context, s *Session, _ *Call) error {
			s.printTarget()
			return nil
		}},
		{Names: []string{"version"}, Short: "show the system, the dump and kdap's own version", Run: runVersion},
		{Names: []string{"||"}, Args: "[* | . | # | N] [s]", Short: "show the open dumps", Run: runSystems},
		{Names: []string{"|"}, Short: "processes of a user dump: nothing in a kernel dump", Run: func(context.Context, *Session, *Call) error { return nil }},
		{Names: []string{"q"}, Short: "end the session", Run: runQuit},
		{Names: []string{"qq"}, Short: "end the session", Run: runQuit},
		{Names: []string{"qd"}, Short: "end the session", Run: runQuit},
		{Names: []string{".opendump"}, Args: "File", Short: "open another dump: the client does that", Run: runOpenDump},
		{Names: []string{".enumtag"}, Short: "show the secondary data that drivers added to the dump", Run: runEnumTag},
		{Names: []string{".dumpdebug"}, Short: "show what the dump file holds", Run: runDumpDebug},
		{Names: []string{"vercommand"}, Short: "show how kdap was started", Run: func(_ context.Context, s *Session, _ *Call) error {
			s.printf("command line: '%s'\n", s.opts.CommandLine)
			return nil
		}},
	}
}

// systemName returns the words for a build; before Windows 10 not every number
// is a release.
func systemName(build uint32) string {
	switch {
	case build == 0:
		return "Unknown System"
	case build >= 10240:
		return "Windows 10"
	case build >= 9600:
		return "Windows 8.1"
	case build >= 9200:
		return "Windows 8"
	case build >= 6003:
		return "Windows 7"
	case build >= 6001:
		return "Windows Server 2008/Windows Vista"
	case build >= 3790:
		return "Windows Server 2003"
	case build >= 2600:
		return "Windows XP"
	}
	return "Windows 2000"
}

// machineWords returns the words for a processor.
func machineWords(machine uint32) string {
	switch machine {
	case 0xaa64:
		return "ARM 64-bit (AArch64)"
	case 0x14c:
		return "x86 compatible"
	case 0x200:
		return "Intel IA64"
	}
	return "x64"
}

// suites are the bits of the header's SuiteMask in the order they are printed.
var suites = []string{
	"SmallBusiness", "Enterprise", "BackOffice", "CommunicationServer", "TerminalServer", "SmallBusinessRestricted",
	"EmbeddedNT", "DataCenter", "SingleUserTS", "Personal", "Blade", "EmbeddedRestricted", "SecurityAppliance",
	"StorageServer", "ComputeServer", "WHServer", "PhoneNT", "MultiUserTS",
}

// checkedBuild is the MajorVersion of a checked kernel.
const checkedBuild = 0xc

// printTarget prints the lines of vertarget.
func (s *Session) printTarget() {
	s.debuggee.printTarget(s)
	s.debuggee.printTimes(s, 0)
}

func (s *Session) printProduct(kind, suite uint32) {
	product := map[uint32]string{1: "WinNt", 2: "LanManNt", 3: "Server"}[kind]
	if product == "" {
		product = fmt.Sprintf("unknown <%d>", kind)
	}
	s.printf("Product: %s", product)
	if suite != 0 {
		s.printf(", suite:")
		for i, name := range suites {
			if suite>>i&1 != 0 {
				s.printf(" %s", name)
			}
		}
	}
	s.printf("\n")
}

func (s *Session) statusLine() string {
	return s.debuggee.statusText() + ": " + visible(s.dumpPath())
}

// dumpPath is the dump's path as the user named it.
func (s *Session) dumpPath() string {
	if s.opts.DumpPath != "" {
		return s.opts.DumpPath
	}
	return s.target.Dump.Path()
}

func runVersion(_ context.Context, s *Session, _ *Call) error {
	s.printTarget()
	s.printf("%s\n\nkdap %s %s/%s %s\n\ncommand line: '%s'\n", s.statusLine(), s.version(),
		runtime.GOOS, runtime.GOARCH, runtime.Version(), s.opts.CommandLine)
	return nil
}

func (s *Session) version() string {
	if s.opts.Version == "" {
		return "dev"
	}
	return s.opts.Version
}

// runSystems lists the one dump that a session has, or selects it.
func runSystems(_ context.Context, s *Session, c *Call) error {
	a := c.Args
	if rest := a.Rest(); rest != "" && strings.IndexByte("*.#", rest[0]) >= 0 {
		a.Pos++
	} else {
		n := 0
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		a.Pos += n
		if n > 0 && strings.Trim(rest[:n], "0") != "" {
			return expr.Caret("Illegal debuggee error", a.Pos)
		}
		if n > 0 && a.Accept("s") {
			return nil
		}
	}
	if err := a.Extra(); err != nil {
		return err
	}
	s.printf(".  0 %s\n", s.statusLine())
	return nil
}

func runQuit(_ context.Context, s *Session, c *Call) error {
	if err := c.Args.Extra(); err != nil {
		return err
	}
	s.printf("quit:\n")
	return ErrQuit
}

func runOpenDump(_ context.Context, s *Session, c *Call) error {
	if c.Args.Done() {
		return expr.Caret("Non-empty string required", c.Args.Pos)
	}
	name := strings.TrimRight(upToSemicolon(c.Args), " \t")
	if s.opts.ScriptFiles {
		if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
			return Failf("\nLoading Dump File [%s]\nCould not open dump file [%s], Win32 error 0n2\n    \"File not found.\"", name, name)
		}
	}
	return Failf("A session has one dump: open the other one in a session of its own.")
}

// Banner writes what a console begins with: the dump, its system, what was loaded.
func (s *Session) Banner(ctx context.Context, w io.Writer) {
	out := s.out
	defer func() { s.out = out }()
	s.out = w
	d := s.target.Dump
	s.printf("Loading Dump File [%s]\n%s\n", visible(s.dumpPath()), s.debuggee.loadingLine())
	if text := d.Header.CommentText(); text != "" {
		s.printf("Comment: '%s'\n", visible(text))
	}
	for _, warning := range s.debuggee.warnings() {
		if len(warning.Box) > 0 {
			s.printf("%s\n", warning.Text())
		}
	}
	f := s.finder()
	s.printf("\nSymbol search path is: %s\nExecutable search path is: %s\n", pathText(f.Path), pathText(f.Images))
	s.debuggee.printTarget(s)
	s.debuggee.printOpenTimes(s)
	s.debuggee.printLoaded(ctx, s)
	s.printf("For analysis of this file, run !analyze -v\n")
}

// The exceptions of breakpoints, which the opening text does not tell.
const (
	exceptionBreakpoint     = 0x80000003
	exceptionWx86Breakpoint = 0x4000001f
)

func pathText(p symbols.Path) string { return visible(p.String()) }
