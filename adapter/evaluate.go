package adapter

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/go-dap"

	"kdap/session"
)

// replContext is the context of what is typed in the console.
const replContext = "repl"

// onExpression evaluates: a command line in the console, a C++ expression
// everywhere else.
func onExpression(a *Adapter, c *call, args evaluateArguments) (any, error) {
	s, err := a.need(c)
	if err != nil {
		return nil, err
	}
	if args.Context == replContext {
		return a.runLine(c, s, args)
	}
	v, err := s.Evaluate(c.ctx, args.Expression, args.FrameId)
	if err != nil {
		return nil, err
	}
	return dap.EvaluateResponseBody{
		Result: session.Visible(v.Text), Type: session.Visible(v.Type), VariablesReference: v.Ref,
		NamedVariables: v.Named, IndexedVariables: v.Indexed, MemoryReference: v.Memory, PresentationHint: hint(v),
	}, nil
}

// Output of a command is its answer; that of one that takes longer goes out as
// it is made, the rest is the answer.
const (
	streamAfter    = 500 * time.Millisecond
	streamInterval = 100 * time.Millisecond
	maxConsole     = 1 << 20 // editors take seconds for more
)

func (a *Adapter) runLine(c *call, s *session.Session, args evaluateArguments) (any, error) {
	if m := sessionCommand.FindStringSubmatch(args.Expression); m != nil {
		return a.openFromConsole(s, m[1])
	}
	out := &lineOutput{a: a}
	out.timer = time.AfterFunc(streamAfter, out.stream)
	r, err := executeLines(c, s, args, out)
	rest := out.end()
	if err != nil {
		if rest != "" {
			a.output("stdout", rest)
		}
		return nil, err
	}
	if thread := s.Focus().ThreadID; r.Moved && a.isVSCode() && s.Listed(thread) {
		// VS Code shows the thread that the command went to. Other clients
		// would take a second stop for a thread that ran on.
		c.then(func() { a.pauseOn(thread) })
	}
	if r.Sources {
		c.then(func() { a.invalidate("stacks") })
	}
	if r.Quit {
		c.then(func() { a.event("terminated", nil) })
	}
	if r.Failed {
		return nil, errors.New(strings.TrimRight(rest, "\n"))
	}
	return dap.EvaluateResponseBody{Result: strings.TrimSuffix(rest, "\n")}, nil
}

// executeLines runs what was typed, which may be several lines: they run until
// one fails.
func executeLines(c *call, s *session.Session, args evaluateArguments, out *lineOutput) (all session.Execution, err error) {
	frame := args.FrameId
	for line := range strings.Lines(args.Expression) {
		if line = strings.TrimRight(line, "\r\n"); strings.TrimSpace(line) == "" {
			continue
		}
		r, err := s.Execute(c.ctx, line, frame, out.add)
		all.Failed, all.Quit, all.Moved, all.Sources = r.Failed, r.Quit, all.Moved || r.Moved, all.Sources || r.Sources
		if err != nil || r.Failed || r.Quit {
			return all, err
		}
	}
	return all, nil
}

func (a *Adapter) isVSCode() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.client.vscode
}

// A lineOutput collects what one command line prints.
type lineOutput struct {
	a     *Adapter
	timer *time.Timer

	mu      sync.Mutex
	text    strings.Builder
	shown   int // bytes that were taken
	dropped int // bytes beyond maxConsole
	ended   bool
}

func (o *lineOutput) add(text string, note bool) {
	text = session.Visible(text)
	o.mu.Lock()
	defer o.mu.Unlock()
	if note {
		// Notes are kdap's own words: they don't go among the debugger's.
		o.a.note(text)
		return
	}
	if room := maxConsole - o.shown; len(text) > room {
		cut := room
		for cut > 0 && text[cut]&0xc0 == 0x80 {
			cut-- // not within a character
		}
		o.dropped += len(text) - cut
		text = text[:cut]
	}
	o.shown += len(text)
	o.text.WriteString(text)
}

// stream sends what there is, and comes again.
func (o *lineOutput) stream() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return
	}
	if o.text.Len() > 0 {
		o.a.output("stdout", o.text.String())
		o.text.Reset()
	}
	o.timer.Reset(streamInterval)
}

// end returns what was not sent yet.
func (o *lineOutput) end() string {
	o.timer.Stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	if o.dropped > 0 {
		o.a.note(fmt.Sprintf(
			"the console shows %d KB of a command's output; %d KB more are left out. \"kdap run DUMP -c COMMAND\" prints everything.",
			maxConsole>>10, (o.dropped+1023)>>10))
	}
	return o.text.String()
}

// note sends a sentence of kdap's own for the console, dimmed where the client
// draws styles: it is not the debugger's answer.
func (a *Adapter) note(text string) {
	text = "kdap: " + session.Visible(text)
	a.mu.Lock()
	if a.client.SupportsANSIStyling {
		text = "\x1b[2m" + text + "\x1b[0m"
	}
	a.mu.Unlock()
	a.output("console", text+"\n")
}

// output sends text for the console.
func (a *Adapter) output(category, text string) {
	a.event("output", dap.OutputEventBody{Category: category, Output: text})
}
