package command

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAnalyze compares with transcripts.md 1: the same bug check of another
// machine; stack and names are those of lab19041.json.
func TestAnalyze(t *testing.T) {
	s := labSession(t)
	got := answer(s, "!analyze -v")
	head := analyzeBanner + `MANUALLY_INITIATED_CRASH (e2)
The user manually initiated this crash dump.
Arguments:
Arg1: 0000000000000000
Arg2: 0000000000000000
Arg3: 0000000000000000
Arg4: 0000000000000000

Debugging Details:
------------------


KEY_VALUES_STRING: 1

    Key  : Analysis.Elapsed.mSec
`
	rest := `BUGCHECK_CODE:  e2

BUGCHECK_P1: 0

BUGCHECK_P2: 0

BUGCHECK_P3: 0

BUGCHECK_P4: 0

PROCESS_NAME:  System

STACK_TEXT:  
fffff804` + "`55effc58 fffff804`578f3b8e     : 00000000`000000e2 00000000`00000000 00000000`00000000 00000000`00000000 : nt!KeBugCheckEx\n"
	end := `SYMBOL_NAME:  i8042prt+3b8e

MODULE_NAME: i8042prt

IMAGE_NAME:  i8042prt.sys

STACK_COMMAND:  .cxr; .ecxr ; kb

BUCKET_ID_FUNC_OFFSET:  3b8e

FAILURE_BUCKET_ID:  MANUALLY_INITIATED_CRASH

OS_VERSION:  10.0.19041.1

BUILDLAB_STR:  vb_release

OSPLATFORM_TYPE:  x64

OSNAME:  Windows 10
`
	if !strings.HasPrefix(got, head) || !strings.Contains(got, rest) || !strings.Contains(got, end) {
		t.Errorf("!analyze -v:\n%s", got)
	}
	want := "BugCheck E2, {0, 0, 0, 0}\n\nProbably caused by : i8042prt.sys ( i8042prt+3b8e )\n\nFollowup:     MachineOwner\n---------\n"
	if diff := cmp.Diff(want, answer(s, "!analyze")); diff != "" {
		t.Errorf("!analyze: -want +here\n%s", diff)
	}
	if got := answer(s, "!analyze -show d1 0 2 1"); !strings.HasPrefix(got, "DRIVER_IRQL_NOT_LESS_OR_EQUAL (d1)\n") ||
		!strings.Contains(got, "\nArg2: 0000000000000002, ") {
		t.Errorf("!analyze -show:\n%s", got)
	}
}

// TestAnalyzeKeepsContext: what was current before is current afterwards.
func TestAnalyzeKeepsContext(t *testing.T) {
	s := labSession(t)
	answer(s, ".process ffffe387110b1080")
	before := answer(s, ".echo; .printf \"%p\\n\", @$proc")
	answer(s, "!analyze -v")
	if after := answer(s, ".echo; .printf \"%p\\n\", @$proc"); after != before {
		t.Errorf("the process is %s, it was %s", after, before)
	}
}
