package adapter

import (
	"encoding/base64"
	"fmt"

	"github.com/google/go-dap"
)

// maxRead bounds one answer: as text it is a third longer, and some clients take
// no message over 4 MiB. More is refused: the protocol has no word for less than
// was asked for but unreadable bytes, and editors show zeros where neither came.
const maxRead = 2 << 20

// onReadMemory: a short read is an answer, not an error; clients also ask for
// 0 bytes.
func onReadMemory(a *Adapter, c *call, args dap.ReadMemoryArguments) (any, error) {
	s, err := a.need(c)
	if err != nil {
		return nil, err
	}
	if args.Count < 0 {
		return nil, fmt.Errorf("%d bytes cannot be read", args.Count)
	}
	if args.Count > maxRead {
		return nil, fmt.Errorf("%d bytes are too many at once: ask for at most %d and go on behind them", args.Count, maxRead)
	}
	m, err := s.ReadMemory(c.ctx, args.MemoryReference, int64(args.Offset), args.Count)
	if err != nil {
		return nil, err
	}
	b := dap.ReadMemoryResponseBody{Address: fmt.Sprintf("%#x", m.Address), Data: base64.StdEncoding.EncodeToString(m.Data)}
	if m.Reason != "" {
		// Editors lay the unreadable part at the end of what they asked for,
		// so all that follows the first unreadable byte is counted.
		b.UnreadableBytes = args.Count - len(m.Data)
	}
	return b, nil
}

func onDisassemble(a *Adapter, c *call, args dap.DisassembleArguments) (any, error) {
	s, err := a.need(c)
	if err != nil {
		return nil, err
	}
	list, err := s.Disassemble(c.ctx, args.MemoryReference, int64(args.Offset), args.InstructionOffset, args.InstructionCount, args.ResolveSymbols)
	if err != nil {
		return nil, err
	}
	b := disassembleBody{Instructions: []disassembledInstruction{}}
	var last string
	for _, in := range list {
		d := disassembledInstruction{DisassembledInstruction: dap.DisassembledInstruction{
			Address: fmt.Sprintf("0x%016x", uint64(in.Address)), InstructionBytes: spaced(in.Bytes), Instruction: in.Text, Symbol: in.Symbol,
		}}
		if in.Invalid {
			d.PresentationHint = "invalid"
		}
		if src, ok := s.SourceOf(in); ok {
			d.Line = a.line(int(in.Line))
			if src.Path != last { // a location holds until the next one
				d.Location, last = source(src), src.Path
			}
		}
		b.Instructions = append(b.Instructions, d)
	}
	return b, nil
}

// spaced puts blanks between the bytes of a hexadecimal text.
func spaced(hex string) string {
	out := make([]byte, 0, len(hex)*3/2)
	for i := 0; i+1 < len(hex); i += 2 {
		if i > 0 {
			out = append(out, ' ')
		}
		out = append(out, hex[i], hex[i+1])
	}
	return string(out)
}
