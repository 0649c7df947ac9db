package command

import (
	"context"
	"crypto/sha1" //nolint:gosec // a name, no secret
	"fmt"
	"slices"
	"strings"
	"time"

	"kdap/engine/analyze"
	"kdap/engine/bugcheck"
	"kdap/engine/dump"
	"kdap/engine/errortext"
	"kdap/engine/windows"
)

const analyzeBanner = `*******************************************************************************
*                                                                             *
*                        Bugcheck Analysis                                    *
*                                                                             *
*******************************************************************************

`

// A blockWriter prints blocks: a label, its text, an empty line.
type blockWriter struct{ s *Session }

func (b blockWriter) line(layout string, args ...any) { b.s.printf(layout+"\n\n", args...) }

// narrow are the labels with one blank behind the colon.
var narrow = map[string]bool{
	"DRIVER_OBJECT": true, "DEVICE_OBJECT": true, "IRP_ADDRESS": true, "PROCESS_OBJECT": true, "THREAD_OBJECT": true,
	"PHYSICAL_DEVICE_OBJECT": true,
}

func (b blockWriter) field(label, text string) {
	blanks := "  "
	if narrow[label] {
		blanks = " "
	}
	if strings.HasPrefix(text, "\n") {
		blanks = " "
	}
	b.line("%s:%s%s", label, blanks, text)
}

// analyzeVerbose prints every block that applies, in the debugger's order.
func (s *Session) analyzeVerbose(ctx context.Context, r *analyze.Report, start time.Time) {
	b := blockWriter{s}
	s.printf("%s", analyzeBanner)
	s.showBugCheck(r.BugCheck)
	s.printf("\nDebugging Details:\n------------------\n\n\n")
	s.analyzeKeys(r, start)
	b.line("BUGCHECK_CODE:  %x", shownCode(r))
	for i, a := range r.Args {
		b.line("BUGCHECK_P%d: %x", i+1, a.Value)
	}
	s.dumpAttributes(b)
	if r.Thread != 0 {
		b.field("FAULTING_THREAD", fmt.Sprintf("%016x", r.Thread))
	}
	for _, d := range r.Details {
		b.field(d.Label, visibleLines(d.Text))
	}
	s.blackBoxes()
	if s.target.Dump.Type() == dump.Triage {
		b.line("CUSTOMER_CRASH_COUNT:  1")
	}
	if name := s.crashProcessName(); name != "" {
		b.line("PROCESS_NAME:  %s", name)
	}
	s.savedState(ctx, r)
	s.exceptionBlocks(ctx, b, r)
	if !s.stackText(ctx, r) {
		return
	}
	s.verdict(ctx, b, r, s.stackCommand(r))
}

// shownCode is the code without the mark that a header may have.
func shownCode(r *analyze.Report) uint32 {
	if known, ok := bugcheck.Lookup(r.Code); ok && known.Code == r.Code {
		return r.Code
	}
	return r.Plain()
}

// visibleLines makes what a dump holds printable, line by line.
func visibleLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = visible(lines[i])
	}
	return strings.Join(lines, "\n")
}

// attributeWords are what the bits of a header's attributes mean to a reader
// (DUMP_FILE_ATTRIBUTES of the kernel's public types).
var attributeWords = []struct {
	bit  uint32
	text string
}{
	{0x4, "Insufficient Dumpfile Size"}, {0x8, "Kernel Generated Triage Dump"}, {0x10, "Live Generated Dump"},
}

func (s *Session) dumpAttributes(b blockWriter) {
	h := s.target.Dump.Header
	if !h.HasAttributes() || h.Attributes == 0 {
		return
	}
	s.printf("DUMP_FILE_ATTRIBUTES: 0x%x\n", h.Attributes)
	for _, a := range attributeWords {
		if h.Attributes&a.bit != 0 {
			s.printf("  %s\n", a.text)
		}
	}
	s.printf("\n")
}

// blackBoxTags name the records of the system's black boxes in a dump's
// secondary data, in the order in which they are told.
//
// Source: the tags of such records in published dumps and tools that read them.
var blackBoxTags = []struct{ tag, name, command string }{
	{"f57308df-cc45-4e01-ad76-29a4ebb010ec", "BLACKBOXBSD", "!blackboxbsd"},
	{"00afe9c4-940d-4213-8016-cd3719b5bc20", "BLACKBOXNTFS", "!blackboxntfs"},
	{"b7631941-532a-4cd6-b1b1-edb5917d4557", "BLACKBOXPNP", "!blackboxpnp"},
	{"80cc79cf-a719-4af1-bf97-fe29ff76ebc1", "BLACKBOXWINLOGON", ""},
}

// blackBoxes tells which black boxes the dump has.
func (s *Session) blackBoxes() {
	have := map[string]bool{}
	for blob := range s.target.Dump.Blobs() {
		have[blob.Tag.String()] = true
	}
	for _, b := range blackBoxTags {
		switch {
		case !have[b.tag]:
		case b.command == "":
			s.printf("%s: 1\n\n", b.name)
		default:
			s.printf("%s: 1 (%s)\n\n\n", b.name, b.command)
		}
	}
}

// savedState shows the trap frame, exception and context records as the
// commands for them do.
func (s *Session) savedState(ctx context.Context, r *analyze.Report) {
	if r.TrapFrame != 0 {
		s.printf("TRAP_FRAME:  %016x -- (.trap 0x%x)\n", r.TrapFrame, r.TrapFrame)
		s.shown(ctx, fmt.Sprintf(".trap 0x%x", r.TrapFrame))
	}
	if e := r.Exception; e != nil && e.At != 0 {
		s.printf("EXCEPTION_RECORD:  %016x -- (.exr 0x%x)\n", e.At, e.At)
		s.showException(ctx, e.Exception)
		s.printf("\n")
	}
	if r.Context != 0 {
		s.printf("CONTEXT:  %016x -- (.cxr 0x%x)\n", r.Context, r.Context)
		s.shown(ctx, fmt.Sprintf(".cxr 0x%x", r.Context))
	}
}

// shown runs a command that sets a register context, and drops that again.
func (s *Session) shown(ctx context.Context, line string) {
	before := s.scope
	_ = s.runText(ctx, line, 0) // it prints what fails
	s.scope = before
	s.printf("Resetting default scope\n\n")
}

// exceptionBlocks print the exception's code and parameters.
func (s *Session) exceptionBlocks(ctx context.Context, b blockWriter, r *analyze.Report) {
	if r.FaultIP != 0 {
		s.printf("FAULTING_IP: \n%s\n", s.exceptionPlace(ctx, r.FaultIP))
		s.printf("%s\n\n", s.codeView(ctx).at(r.FaultIP).text)
	}
	e := r.Exception
	if e == nil {
		return
	}
	b.line("ERROR_CODE: (NTSTATUS) 0x%x - %s", e.Code, s.statusWords(e.Code))
	b.line("EXCEPTION_CODE_STR:  %x", e.Code)
	for i := range min(int(e.NumberParameters), 2) {
		b.line("EXCEPTION_PARAMETER%d:  %016x", i+1, e.Information[i])
	}
}

// statusWords are the text of a status, else its name.
func (s *Session) statusWords(status uint32) string {
	if text, ok := errortext.Text(errortext.NTStatus, status); ok {
		return text
	}
	if name := bugcheck.StatusName(status); name != "" {
		return name
	}
	return "<Unable to get error code text>"
}

// stackText prints the stack; false when it was cancelled.
func (s *Session) stackText(ctx context.Context, r *analyze.Report) bool {
	s.printf("STACK_TEXT:  \n")
	space := s.space()
	for i, f := range r.Frames {
		if ctx.Err() != nil {
			return false
		}
		row := stackRow{frame: f.Frame}
		row.frame.Kind = windows.KernelFrame // a trap's address is no part of these rows
		s.printStackRow(ctx, stackView{letter: 'v'}, space, i, row, false, 0)
	}
	s.printf("\n\n")
	return true
}

// verdict says who is to blame; command shows the stack again.
func (s *Session) verdict(ctx context.Context, b blockWriter, r *analyze.Report, command string) {
	symbol, module, image := culpritNames(r)
	b.line("SYMBOL_NAME:  %s", symbol)
	b.line("MODULE_NAME: %s", module)
	b.line("IMAGE_NAME:  %s", image)
	f, found := r.Culprit()
	if found && f.Frame.Module != nil {
		if v := s.moduleVersion(ctx, f.Frame.Module); v != nil && v.Fixed {
			b.line("IMAGE_VERSION:  %d.%d.%d.%d", v.File[0], v.File[1], v.File[2], v.File[3])
		}
	}
	b.line("STACK_COMMAND:  %s", command)
	if found {
		b.line("BUCKET_ID_FUNC_OFFSET:  %x", f.Offset)
	}
	b.line("FAILURE_BUCKET_ID:  %s", visible(r.Bucket))
	version, branch, _ := s.buildWords()
	if version != "" {
		b.line("OS_VERSION:  %s", version)
	}
	if branch != "" {
		b.line("BUILDLAB_STR:  %s", branch)
	}
	b.line("OSPLATFORM_TYPE:  %s", platformType(s.ownMachine()))
	b.line("OSNAME:  %s", systemName(s.analyzedBuild()))
	b.line("FAILURE_ID_HASH:  {%s}", bucketHash(r.Bucket))
	s.printf("Followup:     MachineOwner\n---------\n\n")
}

// analyzedBuild is the build number of the system, also of a user minidump's.
func (s *Session) analyzedBuild() uint32 {
	if u := s.sys.User(); u != nil && u.File().System != nil {
		return u.File().System.BuildNumber
	}
	return s.sys.Build()
}

// stackCommand is what shows the stack again.
func (s *Session) stackCommand(r *analyze.Report) string {
	switch {
	case r.Context != 0:
		return fmt.Sprintf(".cxr 0x%x ; kb", r.Context)
	case r.FromTrap:
		return fmt.Sprintf(".trap 0x%x ; kb", r.TrapFrame)
	case r.Processor >= 0:
		return fmt.Sprintf("~%ds ; kb", r.Processor)
	case r.Thread != 0:
		process := uint64(0)
		if p, err := s.sys.Thread(r.Thread).Process(); err == nil {
			process = p.Addr()
		}
		return fmt.Sprintf(".process /r /p 0x%x; .thread 0x%x ; kb", process, r.Thread)
	}
	return ".cxr; .ecxr ; kb"
}

// analyzeKeys prints the keys that carry information.
func (s *Session) analyzeKeys(r *analyze.Report, start time.Time) {
	keys := [][2]string{
		{"Analysis.Elapsed.mSec", fmt.Sprint(time.Since(start).Milliseconds())},
		{"Failure.Bucket", visible(r.Bucket)},
		{"Failure.Hash", "{" + bucketHash(r.Bucket) + "}"},
	}
	if s.sys.User() == nil {
		keys = append(keys, [2]string{"Bugcheck.Code.LegacyAPI", fmt.Sprintf("0x%x", s.sys.BugCheck().Code)})
	}
	if r.Code != s.sys.BugCheck().Code {
		keys = append(keys, [2]string{"Bugcheck.Code.KiBugCheckData", fmt.Sprintf("0x%x", r.Code)})
	}
	version, branch, built := s.buildWords()
	if built != "" {
		keys = append(keys, [2]string{"WER.OS.Timestamp", built})
	}
	if branch != "" {
		keys = append(keys, [2]string{"WER.OS.Branch", branch})
	}
	if version != "" {
		keys = append(keys, [2]string{"WER.OS.Version", version})
	}
	slices.SortFunc(keys, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	s.printf("KEY_VALUES_STRING: 1\n\n")
	for _, k := range keys {
		s.printf("    Key  : %s\n    Value: %s\n\n", k[0], k[1])
	}
	s.printf("\n")
}

// bucketHash names a bucket by a hash, in the form of a GUID. It is kdap's own:
// how WinDbg makes its hashes is not public.
func bucketHash(bucket string) string {
	h := sha1.Sum([]byte(bucket)) //nolint:gosec
	h[6], h[8] = h[6]&0x0f|0x50, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// crashProcessName is the image of the process that ran. The idle process,
// which has no image, counts as System.
func (s *Session) crashProcessName() string {
	p := s.scope.process
	if p.Addr() == 0 {
		return ""
	}
	if pid, err := p.PID(); err == nil && pid == 0 {
		return "System"
	}
	name, err := p.ImageName()
	if err != nil {
		return ""
	}
	return visible(name)
}

// buildWords are the version, the branch and the time that NtBuildLabEx tells:
// "19041.1.amd64fre.vb_release.191206-1406" is 10.0.19041.1 of vb_release, made
// on 6 December 2019.
func (s *Session) buildWords() (version, branch, built string) {
	lab, err := s.sys.BuildLab()
	if err != nil {
		return "", "", ""
	}
	parts := strings.Split(visible(lab), ".")
	if len(parts) < 4 {
		return "", "", ""
	}
	if len(parts) > 4 {
		if t, err := time.Parse("060102-1504", parts[4]); err == nil {
			built = t.Format("2006-01-02T15:04:05Z")
		}
	}
	major, minor, _ := s.sys.Version()
	return fmt.Sprintf("%d.%d.%s.%s", major, minor, parts[0], parts[1]), parts[3], built
}

func platformType(machine string) string {
	if machine == nativeMachine {
		return "x64"
	}
	return machine
}
