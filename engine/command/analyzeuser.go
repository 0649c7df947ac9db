package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kdap/engine/analyze"
)

// analyzeProcess explains the exception of a user minidump, in the form that
// the debugger has for programs.
func (s *Session) analyzeProcess(ctx context.Context, o analyzeOptions) error {
	start := time.Now()
	before := s.scope
	defer func() { s.scope = before }()
	s.resetScope()
	if s.scope.regs != nil {
		s.walk(ctx, s.scope.regs, maxFrames) // loads the symbols of the stack's modules
	}
	r, err := analyze.NewUser(ctx, s.sys, o.force)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return Failf("No exception is recorded in this dump; -f explains its thread nevertheless.")
	}
	if !o.verbose {
		s.analyzeShortUser(r)
	} else if err := s.analyzeUser(ctx, r, start); err != nil {
		return err
	}
	s.analyzeNotes(r)
	return ctx.Err()
}

func (s *Session) analyzeShortUser(r *analyze.Report) {
	symbol, _, image := culpritNames(r)
	if r.Exception != nil {
		s.printf("Exception code: %08x\n\n", r.Exception.Code)
	}
	s.printf("Probably caused by : %s ( %s )\n\nFollowup:     MachineOwner\n---------\n", image, symbol)
}

func (s *Session) analyzeUser(ctx context.Context, r *analyze.Report, start time.Time) error {
	b := blockWriter{s}
	s.printf("%s\n", strings.Replace(analyzeBanner, "Bugcheck Analysis ", "Exception Analysis", 1))
	s.analyzeKeys(r, start)
	if r.Exception != nil {
		s.printf("CONTEXT:  (.ecxr)\n")
		s.shown(ctx, ".ecxr")
		s.printf("EXCEPTION_RECORD:  (.exr -1)\n")
		s.showException(ctx, r.Exception.Exception)
		s.printf("\n")
	}
	u := s.sys.User()
	stop := s.sys.CrashStop()
	if threads := u.File().Threads; stop < len(threads) {
		b.line("FAULTING_THREAD:  %08x", threads[stop].ID)
	}
	b.line("PROCESS_NAME:  %s", visible(u.Name()))
	for _, d := range r.Details {
		b.field(d.Label, visibleLines(d.Text))
	}
	s.exceptionBlocks(ctx, b, r)
	if !s.stackText(ctx, r) {
		return ctx.Err()
	}
	s.verdict(ctx, b, r, fmt.Sprintf("~%ds; .ecxr ; kb", stop))
	return ctx.Err()
}
