package command

import (
	"bytes"
	"context"

	"kdap/engine/memory"
)

func debugPrintCommands() []*Command {
	return []*Command{{
		Names: []string{"!dbgprint"}, Short: "show what the kernel and drivers printed for a debugger", Run: runDebugPrint,
	}}
}

// maxPrintBuffer bounds the buffer of debug prints; the kernel's has 4 KB, or
// what was asked for at its start.
const maxPrintBuffer = 16 << 20

// runDebugPrint prints the text of the ring buffer, the oldest first: from the
// place where the next text goes, once it came around.
func runDebugPrint(_ context.Context, s *Session, _ *Call) error {
	start, err := s.printBuffer()
	if err != nil {
		s.notef("%v", err)
		return Failf("Unable to read the buffer of debug prints")
	}
	text := bytes.ReplaceAll(start, []byte{0}, nil)
	for line := range bytes.Lines(text) {
		s.printf("%s\n", visible(string(bytes.TrimRight(line, "\r\n"))))
	}
	return nil
}

func (s *Session) printBuffer() ([]byte, error) {
	start, err := s.sys.Symbol("KdPrintDefaultCircularBuffer")
	if at, perr := s.sys.GlobalUint("KdPrintCircularBuffer", 8); perr == nil && at != 0 {
		start, err = at, nil
	}
	if err != nil {
		return nil, err
	}
	size, err := s.sys.GlobalUint("KdPrintBufferSize", 4)
	if err != nil {
		return nil, err
	}
	b, err := memory.ReadBytes(s.sys.Kernel(), start, int(min(size, maxPrintBuffer)))
	if err != nil {
		return nil, err
	}
	next, nerr := s.sys.GlobalUint("KdPrintWritePointer", 8)
	if nerr == nil && next > start && next-start < uint64(len(b)) {
		b = append(bytes.Clone(b[next-start:]), b[:next-start]...)
	}
	return b, nil
}
