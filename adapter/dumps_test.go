package adapter

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-dap"

	"kdap/internal/truth"
)

// TestSmallDumps opens dumps that hold little: real triage dumps, what WinDbg
// wrote of the reference machine, a user minidump. Each has a thread to stop
// on, a frame with a text, registers, modules.
func TestSmallDumps(t *testing.T) {
	tests := []struct {
		dump    string
		text    string // of the first stop
		modules int
		threads int // at least
	}{
		{"triage_x64", "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED_M", 151, 1},
		{"triage_arm64", "MANUALLY_INITIATED_POWER_BUTTON_HOLD", 0, 1},
		{"lab_m", "MANUALLY_INITIATED_CRASH (manual)", 63, 1},
		{"lab_k", "MANUALLY_INITIATED_CRASH (manual)", 63, 100},
		{"minidump_calc", "Break instruction exception", 28, 5},
	}
	symbols := filepath.Join(truth.Dir(t), "symbols")
	for _, tt := range tests {
		t.Run(tt.dump, func(t *testing.T) {
			c := inProcess(t, Options{})
			stop := c.start(map[string]any{
				"dumpFile": truth.Dump(t, tt.dump), "symbolPath": symbols, "imagePath": symbols, "cacheDir": t.TempDir(),
			})
			if stop.Body.Text != tt.text {
				t.Errorf("stopped for %q", stop.Body.Text)
			}
			threads := ask[*dap.ThreadsResponse](c, "threads", nil).Body.Threads
			if len(threads) < tt.threads {
				t.Errorf("%d threads", len(threads))
			}
			for _, th := range threads {
				if b := ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": th.Id}).Body; len(b.StackFrames) == 0 {
					t.Errorf("thread %q has no frame, not even one that says why", th.Name)
				}
			}
			top := ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": stop.Body.ThreadId}).Body.StackFrames[0]
			if top.Source == nil || top.InstructionPointerReference == "" {
				t.Fatalf("top frame: %+v", top)
			}
			text := ask[*dap.SourceResponse](c, "source", map[string]any{"sourceReference": top.Source.SourceReference}).Body.Content
			if lines := strings.Split(text, "\n"); top.Line > len(lines) || !strings.HasPrefix(lines[top.Line-1], "=> ") {
				t.Errorf("line %d is not marked:\n%.300s", top.Line, text)
			}
			for _, sc := range ask[*dap.ScopesResponse](c, "scopes", map[string]any{"frameId": top.Id}).Body.Scopes {
				if len(variables(c, sc.VariablesReference)) == 0 {
					t.Errorf("scope %s is empty", sc.Name)
				}
			}
			if mods := ask[*dap.ModulesResponse](c, "modules", nil).Body; tt.modules != 0 && mods.TotalModules != tt.modules {
				t.Errorf("%d modules", mods.TotalModules)
			}
			ask[*dap.DisassembleResponse](c, "disassemble", map[string]any{
				"memoryReference": top.InstructionPointerReference, "instructionOffset": -20, "instructionCount": 40, "resolveSymbols": true,
			})
			ask[*dap.ExceptionInfoResponse](c, "exceptionInfo", map[string]any{"threadId": stop.Body.ThreadId})
			ask[*dap.EvaluateResponse](c, "evaluate", map[string]any{"expression": "? 1", "context": "repl", "frameId": top.Id})
			for _, th := range threads[:min(len(threads), 3)] {
				c.response(c.send("kdap/focus", map[string]any{"threadId": th.Id}))
			}
		})
	}
}
