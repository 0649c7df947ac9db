package command

import (
	"context"
	"fmt"

	"kdap/engine/errortext"
)

func errorCommands() []*Command {
	return []*Command{
		{Names: []string{"!gle"}, Args: "[-all]", Short: "show the last error of the current thread, or of all threads of the process", Run: runLastError},
		{Names: []string{"!error"}, Args: "Value [1]", Short: "tell what an error number means; 1: an NTSTATUS", Run: runError},
	}
}

// errorNumber writes the number of an error: 0xc0000005, 0 for none.
func errorNumber(code uint32) string {
	if code == 0 {
		return "0"
	}
	return fmt.Sprintf("%#x", code)
}

func errorText(kind errortext.Kind, code uint32) string {
	if text, ok := errortext.Text(kind, code); ok {
		return text
	}
	return "<Unable to get error code text>"
}

// errorWords writes a number as !error does: "(Win32) 0x5 (5) - Access is
// denied.".
func errorWords(kind errortext.Kind, code uint32) string {
	return fmt.Sprintf("(%s) %s (%d) - %s", kind, errorNumber(code), code, errorText(kind, code))
}

func runError(_ context.Context, s *Session, c *Call) error {
	if c.Args.Done() {
		s.printf("Usage: !error <value> [1]\n")
		return nil
	}
	code, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	kind := errortext.KindOf(uint32(code))
	if !c.Args.Done() {
		status, err := s.extensionNumber(c)
		if err != nil {
			return err
		}
		if status != 0 {
			kind = errortext.NTStatus
		}
	}
	s.printf("Error code: %s\n", errorWords(kind, uint32(code)))
	return nil
}

func runLastError(ctx context.Context, s *Session, c *Call) error {
	if c.Args.Done() {
		teb, err := s.currentBlock()
		if err != nil {
			return s.failure(err, "unable to read TEB")
		}
		return s.showLastError(teb.LastError, teb.LastStatus)
	}
	if option, _ := c.Option(); option != "all" {
		return Failf("Usage: !gle [-all]")
	}
	shown := 0
	for t, err := range s.debuggee.threads(ctx, s) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err != nil {
			s.notef("%v", err)
			break
		}
		if t.teb == 0 {
			continue
		}
		if shown > 0 {
			s.printf("\n")
		}
		shown++
		s.printf("Last error for thread %x:\n", t.number)
		teb, err := s.block(t.teb)
		if err == nil {
			err = s.showLastError(teb.LastError, teb.LastStatus)
		}
		if err != nil {
			s.printf("unable to read TEB\n")
			s.interp.failed = true
		}
	}
	if shown == 0 {
		return Failf("unable to read TEB")
	}
	return nil
}

// showLastError prints the two numbers of a TEB.
func (s *Session) showLastError(lastError, lastStatus func() (uint32, error)) error {
	code, err := lastError()
	if err != nil {
		return s.failure(err, "unable to read TEB")
	}
	status, err := lastStatus()
	if err != nil {
		return s.failure(err, "unable to read TEB")
	}
	kind := errortext.Win32
	if errortext.KindOf(code) == errortext.HResult {
		kind = errortext.HResult
	}
	s.printf("LastErrorValue: %s\nLastStatusValue: (%s) %s - %s\n", errorWords(kind, code),
		errortext.NTStatus, errorNumber(status), errorText(errortext.NTStatus, status))
	return nil
}
