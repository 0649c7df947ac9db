package adapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/google/go-dap"

	"kdap/engine/rpc"
)

// go-dap stands at about version 1.62 of the protocol. What later versions
// added, and kdap's own messages, are here: its structs with the missing
// fields beside them.

// Capabilities are those of the protocol's newest version that kdap has.
type Capabilities struct {
	dap.Capabilities
	SupportsANSIStyling bool `json:"supportsANSIStyling,omitempty"`
}

type initializeArguments struct {
	dap.InitializeRequestArguments
	SupportsANSIStyling bool `json:"supportsANSIStyling,omitempty"`
}

type evaluateArguments struct {
	dap.EvaluateArguments
	Line   int         `json:"line,omitempty"`
	Column int         `json:"column,omitempty"`
	Source *dap.Source `json:"source,omitempty"`
}

type disassembledInstruction struct {
	dap.DisassembledInstruction
	PresentationHint string `json:"presentationHint,omitempty"` // "normal", "invalid"
}

type disassembleBody struct {
	Instructions []disassembledInstruction `json:"instructions"`
}

// stoppedBody keeps fields that the library leaves out when they are zero.
type stoppedBody struct {
	dap.StoppedEventBody
	ThreadID          int  `json:"threadId"`
	AllThreadsStopped bool `json:"allThreadsStopped"`
}

// A message is what all messages of a client have, and a request's arguments.
type message struct {
	Seq       int             `json:"seq"`
	Type      string          `json:"type"`
	Command   string          `json:"command"`
	Arguments json.RawMessage `json:"arguments"`
}

func decodeMessage(b []byte) (message, error) {
	var m message
	err := json.Unmarshal(b, &m)
	return m, err
}

// decode reads a request's arguments.
func decode[A any](b []byte) (A, error) {
	var a A
	if len(b) == 0 {
		return a, nil
	}
	if err := json.Unmarshal(b, &a); err != nil {
		if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) && wrong.Field != "" {
			return a, fmt.Errorf("%q cannot be given as %s", wrong.Field, wrong.Value)
		}
		return a, fmt.Errorf("the arguments cannot be read: %w", err)
	}
	return a, nil
}

type response struct {
	dap.Response
	Body any `json:"body,omitempty"`
}

type event struct {
	dap.Event
	Body any `json:"body,omitempty"`
}

// A writer sends messages, one at a time, each in one write.
type writer struct {
	mu  sync.Mutex
	w   io.Writer
	seq int
	buf []byte
	err error // the first failure: the client is gone
}

// send numbers a message and writes it.
func (w *writer) send(p *dap.ProtocolMessage, m any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	w.seq++
	p.Seq = w.seq
	body, err := json.Marshal(m)
	if err != nil {
		body, _ = json.Marshal(dap.OutputEvent{
			Event: dap.Event{ProtocolMessage: dap.ProtocolMessage{Seq: w.seq, Type: "event"}, Event: "output"},
			Body:  dap.OutputEventBody{Category: "stderr", Output: "kdap: a message cannot be written: " + err.Error() + "\n"},
		})
	}
	w.buf = rpc.AppendMessage(w.buf[:0], body)
	_, w.err = w.w.Write(w.buf)
	if cap(w.buf) > 1<<20 {
		w.buf = nil
	}
}

// processes is a list of selectors, nil for all.
type processes struct{ list *[]selector }

type selector = json.RawMessage

// UnmarshalJSON takes "all" or a list.
func (p *processes) UnmarshalJSON(b []byte) error {
	if strings.TrimSpace(string(b)) == "null" {
		return nil
	}
	var s string
	if json.Unmarshal(b, &s) == nil {
		if strings.EqualFold(s, "all") {
			return nil
		}
		list := []selector{append(selector{}, b...)}
		p.list = &list
		return nil
	}
	var list []selector
	if err := json.Unmarshal(b, &list); err != nil {
		return fmt.Errorf(`"processes" is "all" or a list of names and process ids`)
	}
	p.list = &list
	return nil
}
