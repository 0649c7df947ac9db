package session

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"kdap/engine/rpc"
)

// Reference names memory for a client. An address of the half that belongs to
// a process carries the process; a bare one means the process in focus.
func Reference(addr uint64, process rpc.Hex) string {
	if addr >= kernelStart || process == 0 {
		return fmt.Sprintf("%#x", addr)
	}
	return fmt.Sprintf("%#x@%x", addr, uint64(process))
}

// parseReference reads what Reference wrote, and addresses as debuggers write them.
func parseReference(ref string) (addr uint64, process rpc.Hex, err error) {
	text, proc, named := strings.Cut(strings.TrimSpace(ref), "@")
	text = strings.ReplaceAll(text, "`", "")
	if addr, err = strconv.ParseUint(text, 0, 64); err != nil {
		addr, err = strconv.ParseUint(text, 16, 64)
	}
	if err == nil && named {
		var p uint64
		p, err = strconv.ParseUint(proc, 16, 64)
		process = rpc.Hex(p)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%q is no memory reference", ref)
	}
	return addr, process, nil
}

// maxRemembered bounds the addresses of code whose process is remembered.
const maxRemembered = 1 << 17

// remember notes which process an address of code was handed out for.
func (s *Session) remember(ip uint64, process rpc.Hex) {
	if ip >= kernelStart {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owners == nil || len(s.owners) > maxRemembered {
		s.owners = map[uint64]rpc.Hex{}
	}
	s.owners[ip] = process
}

// processesOf returns the processes that a reference may mean, the likeliest first.
func (s *Session) processesOf(addr uint64, process rpc.Hex) []rpc.Hex {
	if process != 0 {
		return []rpc.Hex{process}
	}
	out := []rpc.Hex{s.Focus().Process}
	if addr >= kernelStart {
		return out
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.owners[addr]; ok && p != out[0] {
		out = append(out, p)
	}
	return out
}

// Memory is what was read: bytes and, where they are fewer than wanted, why
// there are no more.
type Memory struct {
	Address uint64
	Data    []byte
	Reason  string
}

// readPiece is how much the engine is asked for at once: a long read can be
// given up, and another request is not behind all of it.
const readPiece = 1 << 20

// ReadMemory reads count bytes at a reference and an offset to it.
func (s *Session) ReadMemory(ctx context.Context, ref string, offset int64, count int) (Memory, error) {
	addr, process, err := parseReference(ref)
	if err != nil {
		return Memory{}, err
	}
	at := addr + uint64(offset)
	m := Memory{Address: at}
	for i, p := range s.processesOf(addr, process) {
		data, why, err := s.readPieces(ctx, p, at, count, readPiece)
		if err != nil {
			return m, s.engine.explain(err)
		}
		if i == 0 || len(data) > 0 {
			m.Data, m.Reason = data, why
		}
		if len(m.Data) > 0 {
			break
		}
	}
	return m, nil
}

// readPieces reads pieces up to count bytes or the first that cannot be read.
func (s *Session) readPieces(ctx context.Context, process rpc.Hex, at uint64, count, piece int) (data []byte, why string, err error) {
	for {
		r, err := s.engine.client.ReadMemory(ctx, rpc.ReadParams{
			Process: process, Address: rpc.Hex(at + uint64(len(data))), Count: min(count-len(data), piece),
		})
		if err != nil {
			return data, "", err
		}
		data = append(data, r.Data...)
		if r.Reason != "" || len(r.Data) == 0 || len(data) >= count {
			return data, r.Reason, nil
		}
	}
}

// Disassemble returns count instructions, from skip instructions behind the
// reference and the offset to it.
func (s *Session) Disassemble(ctx context.Context, ref string, offset int64, skip, count int, symbols bool) ([]rpc.Instruction, error) {
	addr, process, err := parseReference(ref)
	if err != nil {
		return nil, err
	}
	at := addr + uint64(offset)
	processes := s.processesOf(addr, process)
	if len(processes) > 1 {
		if r, err := s.engine.client.ReadMemory(ctx, rpc.ReadParams{Process: processes[0], Address: rpc.Hex(at), Count: 1}); err == nil && len(r.Data) == 0 {
			processes = processes[1:]
		}
	}
	r, err := s.engine.client.Disassemble(ctx, rpc.DisassembleParams{
		Process: processes[0], Address: rpc.Hex(at), Offset: skip, Count: count, Symbols: symbols,
	})
	return r.Instructions, s.engine.explain(err)
}

// SourceOf returns the file of an instruction, when it is found here.
func (s *Session) SourceOf(in rpc.Instruction) (Source, bool) {
	if in.File == "" {
		return Source{}, false
	}
	p, ok := s.sourceFinder().find(in.File)
	return Source{Name: baseName(in.File), Path: p}, ok
}
