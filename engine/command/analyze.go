package command

import (
	"context"
	"crypto/sha1" //nolint:gosec // a name, no secret
	"fmt"
	"slices"
	"strings"
	"time"

	"kdap/engine/analyze"
	"kdap/engine/windows"
)

func analyzeCommands() []*Command { return []*Command{cmdAnalyze()} }

func cmdAnalyze() *Command {
	return &Command{
		Names: []string{"!analyze"}, Args: "[-v] [-f] [-show [Code [P1 P2 P3 P4]]]", Short: "explain the crash: bug check, arguments, stack, who is to blame",
		Run: runAnalyze,
	}
}

// analyzeOptions are the options of !analyze.
type analyzeOptions struct {
	verbose, show bool
	code          uint32
	params        [4]uint64
	given         bool // -show has a code
}

func (s *Session) parseAnalyze(c *Call) (o analyzeOptions, err error) {
	for !c.Args.Done() {
		word := c.Word()
		switch strings.ToLower(word) {
		case "-v", "-vv":
			o.verbose = true
		case "-f", "-nodb":
		case "-hang":
			return o, Failf("!analyze: -hang is not there yet; !locks, !running -it and !stacks 1 show who waits for whom")
		case "-d":
			c.Word() // the bucket that the answer is to be shown for
		case "-show":
			o.show = true
			for i := 0; i < 5 && !c.Args.Done() && c.Args.Rest()[0] != '-'; i++ {
				v, err := s.extensionNumber(c)
				if err != nil {
					return o, err
				}
				if i == 0 {
					o.code, o.given = uint32(v), true
					continue
				}
				o.params[i-1] = v
			}
		case "-c", "-xml", "-xmi", "-xcs", "-xss":
			return o, Failf("!analyze: %s is not supported", word)
		default:
			return o, Failf("!analyze: unknown option %s", word)
		}
	}
	return o, nil
}

func runAnalyze(ctx context.Context, s *Session, c *Call) error {
	o, err := s.parseAnalyze(c)
	if err != nil {
		return err
	}
	if o.show {
		if !o.given {
			o.code, o.params = analyze.Code(s.sys)
		}
		s.showBugCheck(analyze.Describe(o.code, o.params))
		return nil
	}
	start := time.Now()
	if code, params := analyze.Code(s.sys); !analyze.Describe(code, params).Recorded() {
		return Failf("No bug check is recorded in this dump.")
	}
	before := s.scope
	defer func() { s.scope = before }()
	s.resetScope()
	if s.scope.regs != nil {
		s.walk(ctx, s.scope.regs, maxFrames) // loads the symbols of the stack's modules
	}
	r := analyze.New(ctx, s.sys, s.space(), s.moduleSet(ctx))
	if err := ctx.Err(); err != nil {
		return err
	}
	if o.verbose {
		s.analyzeVerbose(ctx, r, start)
	} else {
		s.analyzeShort(r)
	}
	s.analyzeNotes(r)
	return ctx.Err()
}

// showBugCheck prints the headline, what the bug check means and its arguments.
func (s *Session) showBugCheck(b analyze.BugCheck) {
	code := fmt.Sprintf("%x", b.Plain())
	s.printf("%s (%s)\n", b.Name, code)
	for _, line := range b.Description {
		s.printf("%s\n", line)
	}
	s.printf("Arguments:\n")
	for i, a := range b.Args {
		s.printf("Arg%d: %016x", i+1, a.Value)
		if a.Meaning != "" {
			s.printf(", %s", a.Meaning)
		}
		s.printf("\n")
	}
}

// analyzeShort is the verdict alone.
func (s *Session) analyzeShort(r *analyze.Report) {
	s.printf("BugCheck %X, {%x, %x, %x, %x}\n\n", r.Code, r.Args[0].Value, r.Args[1].Value, r.Args[2].Value, r.Args[3].Value)
	symbol, _, image := culpritNames(r)
	s.printf("Probably caused by : %s ( %s )\n\n", image, symbol)
	s.printf("Followup:     MachineOwner\n---------\n")
}

// culpritNames are symbol, module and image of the blamed frame, in the
// debugger's words where there is none.
func culpritNames(r *analyze.Report) (symbol, module, image string) {
	f, ok := r.Culprit()
	if !ok {
		return "ANALYSIS_INCONCLUSIVE", "Unknown_Module", "Unknown_Image"
	}
	return visible(f.Symbol()), visible(f.Module), visible(f.Image)
}

const analyzeBanner = `*******************************************************************************
*                                                                             *
*                        Bugcheck Analysis                                    *
*                                                                             *
*******************************************************************************

`

func (s *Session) analyzeVerbose(ctx context.Context, r *analyze.Report, start time.Time) {
	s.printf("%s", analyzeBanner)
	s.showBugCheck(r.BugCheck)
	s.printf("\nDebugging Details:\n------------------\n\n\n")
	block := func(layout string, args ...any) { s.printf(layout+"\n\n", args...) }
	s.analyzeKeys(r, start)
	block("BUGCHECK_CODE:  %x", r.Code)
	for i, a := range r.Args {
		block("BUGCHECK_P%d: %x", i+1, a.Value)
	}
	if name := s.crashProcessName(); name != "" {
		block("PROCESS_NAME:  %s", name)
	}
	if r.TrapFrame != 0 {
		block("TRAP_FRAME:  %016x -- (.trap 0x%x)", r.TrapFrame, r.TrapFrame)
	}
	if r.Context != 0 {
		block("CONTEXT:  %016x -- (.cxr 0x%x)", r.Context, r.Context)
	}
	s.printf("STACK_TEXT:  \n")
	space := s.space()
	for i, f := range r.Frames {
		if ctx.Err() != nil {
			return
		}
		row := stackRow{frame: f.Frame}
		row.frame.Kind = windows.KernelFrame // a trap's address is no part of these rows
		s.printStackRow(ctx, stackView{letter: 'v'}, space, i, row, false, 0)
	}
	s.printf("\n\n")
	symbol, module, image := culpritNames(r)
	block("SYMBOL_NAME:  %s", symbol)
	block("MODULE_NAME: %s", module)
	block("IMAGE_NAME:  %s", image)
	f, found := r.Culprit()
	if found && f.Frame.Module != nil {
		if v := s.moduleVersion(ctx, f.Frame.Module); v != nil && v.Fixed {
			block("IMAGE_VERSION:  %d.%d.%d.%d", v.File[0], v.File[1], v.File[2], v.File[3])
		}
	}
	switch {
	case r.Context != 0:
		block("STACK_COMMAND:  .cxr 0x%x ; kb", r.Context)
	default:
		block("STACK_COMMAND:  .cxr; .ecxr ; kb")
	}
	if found {
		block("BUCKET_ID_FUNC_OFFSET:  %x", f.Offset)
	}
	block("FAILURE_BUCKET_ID:  %s", visible(r.Bucket))
	version, branch := s.buildWords()
	if version != "" {
		block("OS_VERSION:  %s", version)
	}
	if branch != "" {
		block("BUILDLAB_STR:  %s", branch)
	}
	block("OSPLATFORM_TYPE:  %s", platformType(s.ownMachine()))
	block("OSNAME:  %s", systemName(s.sys.Build()))
	block("FAILURE_ID_HASH:  {%s}", bucketHash(r.Bucket))
	s.printf("Followup:     MachineOwner\n---------\n\n")
}

// analyzeKeys prints the keys that carry information.
func (s *Session) analyzeKeys(r *analyze.Report, start time.Time) {
	keys := [][2]string{
		{"Analysis.Elapsed.mSec", fmt.Sprint(time.Since(start).Milliseconds())},
		{"Bugcheck.Code.LegacyAPI", fmt.Sprintf("0x%x", s.sys.BugCheck().Code)},
		{"Failure.Bucket", visible(r.Bucket)},
		{"Failure.Hash", "{" + bucketHash(r.Bucket) + "}"},
	}
	if r.Code != s.sys.BugCheck().Code {
		keys = append(keys, [2]string{"Bugcheck.Code.KiBugCheckData", fmt.Sprintf("0x%x", r.Code)})
	}
	version, branch := s.buildWords()
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

// buildWords are the version and the branch that NtBuildLabEx tells:
// "19041.1.amd64fre.vb_release.191206-1406" is 10.0.19041.1 of vb_release.
func (s *Session) buildWords() (version, branch string) {
	lab, err := s.sys.BuildLab()
	if err != nil {
		return "", ""
	}
	parts := strings.Split(visible(lab), ".")
	if len(parts) < 4 {
		return "", ""
	}
	major, minor, _ := s.sys.Version()
	return fmt.Sprintf("%d.%d.%s.%s", major, minor, parts[0], parts[1]), parts[3]
}

func platformType(machine string) string {
	if machine == nativeMachine {
		return "x64"
	}
	return machine
}

// analyzeNotes tells why, and what to do next.
func (s *Session) analyzeNotes(r *analyze.Report) {
	s.notef("%s", r.Why)
	if r.StackErr != nil {
		s.notef("the stack: %v", r.StackErr)
	}
	if r.Deliberate() {
		s.notef("this crash was asked for: its stack shows who made it, not what was wrong; next steps:")
	}
	for _, step := range r.Next {
		s.notef("  %s", step)
	}
}
