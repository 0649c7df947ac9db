package session

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/rpc"
)

// A Stack is a thread's stack, kept once it was asked for.
type Stack struct {
	Frames []Frame
	Ended  string // why it ends early, "" when it does not
}

// A Frame is one frame. One without a module or symbol still has an address.
type Frame struct {
	ID     int
	Name   string // "nt!KiSwapContext+0x76"
	IP, SP uint64
	Kind   string // as in "kdap list stacks"
	Module rpc.Hex
	Source Source
	Line   int
}

// A Source is where a frame's code is shown: a file here, or a text that the
// session makes (Ref).
type Source struct {
	Name string
	Path string
	Ref  int
	// Origin is the path in the symbols, when no file was found for it; Why tells
	// what is known of that.
	Origin, Why string
	// From is the address that a file is fetched from.
	From string
}

// Stack returns the stack of a thread.
func (s *Session) Stack(ctx context.Context, threadID int) (*Stack, error) {
	name, err := s.thread(threadID)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	st, symbols := s.stacks[name], s.symbols
	s.mu.Unlock()
	if st != nil {
		return st, nil
	}
	r, err := s.engine.client.Stack(ctx, rpc.StackParams{Thread: name})
	if err != nil {
		return nil, s.engine.explain(err)
	}
	st = s.newStack(name, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.stacks[name]; known != nil {
		return known, nil
	}
	if s.symbols == symbols {
		s.stacks[name] = st // else it was walked with others
	}
	return st, nil
}

func (s *Session) newStack(name rpc.Thread, r rpc.StackResult) *Stack {
	ended := strings.ReplaceAll(r.Ended, "\n", "; ") // reasons that have reasons come in lines
	st := &Stack{Ended: ended, Frames: make([]Frame, 0, len(r.Frames))}
	for i, f := range r.Frames {
		out := Frame{
			ID: s.handles.frame(frameKey{s, name, i}), IP: uint64(f.IP), SP: uint64(f.SP),
			Kind: f.Kind, Module: f.ModuleBase, Name: frameName(f),
		}
		out.Source, out.Line = s.frameSource(f, r.Process)
		s.remember(out.IP, r.Process)
		st.Frames = append(st.Frames, out)
	}
	if r.Ended == "" && len(st.Frames) > 0 {
		return st
	}
	// Where a walk ends early a last line says why. A thread without any frame
	// gets one that can be selected, for its structures are there to be seen.
	end := Frame{ID: s.handles.frame(frameKey{s, name, len(st.Frames)}), Kind: Note, Name: "the stack ends early: " + ended}
	if len(st.Frames) == 0 {
		end.Kind, end.Name, end.Line = NoStack, "no stack: "+ended, 1
		end.Source = Source{Name: "no stack", Ref: s.handles.text(textKey{session: s, note: end.Name + "\n"})}
	}
	st.Frames = append(st.Frames, end)
	return st
}

// Kinds of frames that are none: the line that says why a stack ends early, and
// the one that stands for a stack that cannot be had.
const (
	Note    = "note"
	NoStack = "none"
)

func frameName(f rpc.Frame) string {
	switch {
	case f.Module == "":
		return f.IP.String()
	case f.Symbol == "" && f.Offset != nil:
		return fmt.Sprintf("%s+%v", f.Module, *f.Offset)
	case f.Offset == nil || *f.Offset == 0:
		return f.Module + "!" + f.Symbol
	case *f.Offset == ^rpc.Hex(0):
		// An address in a part of the image that has no symbols.
		return fmt.Sprintf("%s+%#x", f.Module, uint64(f.IP-f.ModuleBase))
	}
	return fmt.Sprintf("%s!%s+%v", f.Module, f.Symbol, *f.Offset)
}

// frameSource returns the source file where there is one here, else the text
// of the function.
func (s *Session) frameSource(f rpc.Frame, process rpc.Hex) (Source, int) {
	finder, why := s.sourceFinder(), ""
	if f.Source != "" && f.Line > 0 {
		if p, ok := finder.find(f.Source); ok {
			return Source{Name: baseName(f.Source), Path: p}, int(f.Line)
		}
		var ok bool
		if ok, why = finder.fetchable(f); ok {
			k := textKey{session: s, process: process, ip: f.IP, file: f.Source}
			return Source{Name: baseName(f.Source), Ref: s.handles.text(k), From: f.SourceFrom}, int(f.Line)
		}
	}
	name := f.Module
	if f.Symbol != "" {
		name += "!" + f.Symbol
	}
	if name == "" || f.Offset != nil && *f.Offset == ^rpc.Hex(0) {
		name = f.IP.String()
	}
	if f.IP >= kernelStart {
		process = 0 // one text for all processes
	}
	return Source{Name: name, Ref: s.handles.text(textKey{session: s, process: process, ip: f.IP}), Origin: f.Source, Why: why}, max(f.TextLine, 1)
}

// kernelStart is the first address of the half that all processes share.
const kernelStart = 1 << 63

// Text returns the text behind a source's number; code tells a disassembly from
// a source file.
func (s *Session) Text(ctx context.Context, ref int) (text string, code bool, err error) {
	k, ok := s.handles.textOf(s, ref)
	switch {
	case !ok:
		return "", false, fmt.Errorf("source %d: %w", ref, ErrNoHandle)
	case k.note != "":
		return k.note, true, nil
	case k.file != "":
		text, err = s.fileText(ctx, k)
		return text, false, err
	}
	r, err := s.engine.client.Source(ctx, rpc.PlaceParams{Process: k.process, Address: k.ip})
	return r.Text, true, s.engine.explain(err)
}

// Files returns the source files that the symbols of the current process name
// and that are found here.
func (s *Session) Files(ctx context.Context) ([]Source, error) {
	r, err := s.engine.client.SourceFiles(ctx, s.Focus().Process)
	if err != nil {
		return nil, s.engine.explain(err)
	}
	var out []Source
	finder := s.sourceFinder()
	for _, f := range r.Files {
		if p, ok := finder.find(f); ok {
			out = append(out, Source{Name: baseName(f), Path: p})
		}
	}
	return out, nil
}
