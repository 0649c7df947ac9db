package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kdap/engine/analyze"
)

func analyzeCommands() []*Command { return []*Command{cmdAnalyze()} }

func cmdAnalyze() *Command {
	return &Command{
		Names: []string{"!analyze"},
		Args:  "[-v] [-f] [-hang] [-D Bucket] [-show [Code [P1 P2 P3 P4]]]",
		Short: "explain the crash: bug check, arguments, stack, who is to blame; -hang: who waits for whom",
		Run:   runAnalyze,
	}
}

// analyzeOptions are the options of !analyze.
type analyzeOptions struct {
	verbose, show, hang, force bool

	bucket string // the answer is wanted only for crashes of this name
	code   uint32
	params [4]uint64
	given  bool // -show has a code
}

func (s *Session) parseAnalyze(c *Call) (o analyzeOptions, err error) {
	for !c.Args.Done() {
		word := c.Word()
		switch strings.ToLower(word) {
		case "-v", "-vv":
			o.verbose = true
		case "-f":
			o.force = true
		case "-nodb":
		case "-hang":
			o.hang = true
		case "-d":
			o.bucket = c.Word()
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
			return o, Failf("!analyze: %s is not supported", word) // plug-ins, and the same fields as XML
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
	switch {
	case s.sys.User() != nil && o.hang:
		return Failf("!analyze: -hang needs the kernel's threads; this dump holds one process")
	case s.sys.User() != nil:
		return s.analyzeProcess(ctx, o)
	case o.hang:
		return s.analyzeHang(ctx, o.verbose)
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
	switch {
	case o.bucket != "" && !strings.EqualFold(o.bucket, r.Bucket):
		s.notef("this crash is none of %s but of %s", o.bucket, r.Bucket)
		return nil
	case o.verbose:
		s.analyzeVerbose(ctx, r, start)
	default:
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

// analyzeNotes tells why, and what to do next.
func (s *Session) analyzeNotes(r *analyze.Report) {
	s.notef("%s", r.Why)
	for _, err := range r.Missing {
		s.notef("%v", err)
	}
	if r.StackErr != nil {
		s.notef("the stack: %v", r.StackErr)
	}
	switch {
	case r.Deliberate():
		s.notef("this crash was asked for: its stack shows who made it, not what was wrong; next steps:")
	case len(r.Next) > 0:
		s.notef("next steps:")
	}
	for _, step := range r.Next {
		s.notef("  %s", step)
	}
}
