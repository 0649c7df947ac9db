package adapter

import (
	"fmt"
	"sync"
	"time"

	"github.com/google/go-dap"
)

// A progress tells how far a request is, once it takes long enough to ask.
type progress struct {
	a     *Adapter
	c     *call
	id    string
	title string
	timer *time.Timer

	mu      sync.Mutex
	started bool
	ended   bool
	text    string
	percent float64
}

// progressAfter is how long work may take without being announced.
const progressAfter = 300 * time.Millisecond

// startProgress announces a request's work to clients that show progress.
func (a *Adapter) startProgress(c *call, title string) *progress {
	p := &progress{a: a, c: c, id: fmt.Sprintf("kdap-%d", c.seq), title: title}
	a.mu.Lock()
	shows := a.client.SupportsProgressReporting
	if shows {
		a.progress[p.id] = c
	}
	a.mu.Unlock()
	if shows {
		p.timer = time.AfterFunc(progressAfter, p.start)
	}
	return p
}

func (p *progress) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.started = true
	p.a.event("progressStart", dap.ProgressStartEventBody{
		ProgressId: p.id, Title: p.title, RequestId: p.c.seq, Cancellable: true, Message: p.text, Percentage: int(p.percent),
	})
}

func (p *progress) update(text string, done, total uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text, p.percent = text, 0
	if total > 0 {
		p.percent = float64(min(done, total)) * 100 / float64(total)
	}
	if !p.started || p.ended {
		return
	}
	p.a.event("progressUpdate", dap.ProgressUpdateEventBody{ProgressId: p.id, Message: text, Percentage: int(p.percent)})
}

func (p *progress) end() {
	p.a.mu.Lock()
	delete(p.a.progress, p.id)
	p.a.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.started {
		p.a.event("progressEnd", dap.ProgressEndEventBody{ProgressId: p.id})
	}
}
