package command

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// FuzzExecute runs arbitrary lines on the demo dump. None may panic; each ends
// soon after its context did; and a line that is cancelled or fails leaves the
// session as able as it was.
func FuzzExecute(f *testing.F) {
	target := demoSession(f).target
	for _, line := range []string{
		".for (r $t0=0; @$t0<3; r $t0=@$t0+1) { .printf \"%d %y\\n\", @$t0, nt; .if (@$t0==1) { .break } }",
		".foreach /pS 1 /ps 1 (x { lm }) { .echo ${x} x; .continue }", "as /x ${/v:i} 5;.block { .echo ${i} }",
		"aS a \"b;c\";ad *;al", ".catch { .while (1) { foo } };.leave", "j 1 'dd nt L1' ; '? 2'", "r $t0=3", "r $t0=@$t0-1;z(@$t0)",
		".do { .echo x } (0) ; .else { }", "!for_each_process \".echo @#Process; ? poi(@#Process)\"", "r $.u0=x;.echo $u0${/d:a}",
		".printf /D \"<b>%ma %msu %-5.3x %*d %e</b>\\x41\\n\", nt, nt, 1, 2, 3, 4", "?? 1+2.5;.formats -1;n 8;.expr /s c++",
		"{ } }{ \" ' ` ;; $$ * ${", "$$><x;$<y", ".logopen x", "dt nt!_EPROCESS;!process 0 7;k;u;s -a nt L1000 \"MZ\"",
		".dumpdebug;.enumtag;vertarget;version;||0s;~1s;.help;.hh k", ".pcmd -s \"x\";.ofilter y;.sleep 1;.typeopt -u;l+t;ss w;sx e",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.Contains(strings.ToLower(line), "quit") {
			return
		}
		s := NewSession(target, Options{})
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		var out countingWriter
		start := time.Now()
		err := s.Execute(ctx, line, Output{Out: &out})
		if d := time.Since(start); d > 5*time.Second {
			t.Fatalf("took %v", d)
		}
		if err != nil && !errors.Is(err, ErrFailed) && !errors.Is(err, ErrQuit) && ctx.Err() == nil {
			t.Fatalf("an error that nobody printed: %v", err)
		}
		if n := len(s.interp.locals) + s.interp.loops + s.interp.catches + s.interp.nesting; n != 0 {
			t.Fatalf("the interpreter is still inside something: %+v", s.interp)
		}
		if s.out == nil || s.log.file != nil {
			t.Fatal("the output is not the session's own")
		}
		_, _ = s.Complete(ctx, line, len(line))
	})
}
