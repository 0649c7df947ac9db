package adapter

import (
	"strings"
	"testing"

	"github.com/google/go-dap"

	"kdap/engine/dumptest"
)

// TestExceptionInfo: the driver that the writer let crash the machine is told
// to the editor, with what it did.
func TestExceptionInfo(t *testing.T) {
	c := inProcess(t, Options{})
	stop := c.start(madeArguments(t, "faulted", dumptest.Faulted))
	info := ask[*dap.ExceptionInfoResponse](c, "exceptionInfo", map[string]any{"threadId": stop.Body.ThreadId}).Body
	if info.ExceptionId != "DRIVER_IRQL_NOT_LESS_OR_EQUAL" || info.Details.Message != info.Description {
		t.Errorf("%+v", info)
	}
	for _, want := range []string{
		"Bug check 0xD1: DRIVER_IRQL_NOT_LESS_OR_EQUAL\nParameter 1: ffffc58f80000010  address referenced\n", "A driver accessed pageable or invalid memory",
		"Probably caused by: keypad.sys (keypad!KeypadCheckCrashKeys+", "WRITE_ADDRESS: ffffc58f80000010", "CURRENT_IRQL: 2",
	} {
		if !strings.Contains(info.Description, want) {
			t.Errorf("no %q in\n%s", want, info.Description)
		}
	}
	if !strings.Contains(info.Details.StackTrace, "keypad!KeypadCheckCrashKeys") {
		t.Errorf("stack: %s", info.Details.StackTrace)
	}
}
