package adapter

import (
	"testing"

	"github.com/google/go-dap"

	"kdap/engine/dumptest"
)

// benchThreads is a machine of many threads: what Call Stack must bear.
const benchThreads = 3000

func benchClient(b *testing.B) (*client, []dap.Thread) {
	b.Helper()
	c := inProcess(b, Options{})
	c.start(madeArguments(b, "sparse", func() *dumptest.Dump { return dumptest.Sparse(200, benchThreads) }))
	return c, ask[*dap.ThreadsResponse](c, "threads", nil).Body.Threads
}

// BenchmarkThreads lists 3,000 threads.
func BenchmarkThreads(b *testing.B) {
	c, threads := benchClient(b)
	for b.Loop() {
		ask[*dap.ThreadsResponse](c, "threads", nil)
	}
	b.ReportMetric(float64(len(threads)), "threads")
}

// BenchmarkStackTrace asks for the stack of one thread after the other, each
// for the first time until all were asked.
func BenchmarkStackTrace(b *testing.B) {
	c, threads := benchClient(b)
	for i := 0; b.Loop(); i++ {
		ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": threads[i%len(threads)].Id})
	}
}

// BenchmarkTopFrame asks for the top frame of a stack that is known, as some
// editors do for every thread at every stop.
func BenchmarkTopFrame(b *testing.B) {
	c, threads := benchClient(b)
	for b.Loop() {
		ask[*dap.StackTraceResponse](c, "stackTrace", map[string]any{"threadId": threads[0].Id, "levels": 1})
	}
}
