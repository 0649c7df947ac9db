package command

import (
	"context"
	"fmt"

	"kdap/engine/expr"
	"kdap/engine/memory"
	"kdap/engine/types"
)

func userExceptionCommands() []*Command {
	return []*Command{
		{Names: []string{".exptr"}, Args: "Address", Short: "show an exception and use its context: from an EXCEPTION_POINTERS", Run: runExptr},
		{Names: []string{".jdinfo"}, Args: "Address", Short: "show an exception and use its context: from a JIT_DEBUG_INFO", Run: runJdinfo},
		{Names: []string{".fnret"}, Args: "Function [Value]", Short: "show what a function returned, with its type", Run: runFnret},
	}
}

// runExptr reads an EXCEPTION_POINTERS, two pointers, and does what .exr and
// .cxr do with them.
func runExptr(ctx context.Context, s *Session, c *Call) error {
	addr, err := s.address(c.Args)
	if err != nil {
		return err
	}
	var pointers [2]uint64
	for i := range pointers {
		if pointers[i], err = memory.ReadUint(s.space(), addr+8*uint64(i), 8); err != nil {
			return expr.Caret("Memory access error", c.Args.Pos)
		}
	}
	return s.runText(ctx, fmt.Sprintf(".exr 0x%x;.cxr 0x%x", pointers[0], pointers[1]), 0)
}

// JIT_DEBUG_INFO (werapi.h): a size, the processor, the thread, and three
// addresses of 64 bits: of the exception, its record, its context.
const (
	jitSize          = 0x28
	jitRecordOffset  = 0x18
	jitContextOffset = 0x20
)

func runJdinfo(ctx context.Context, s *Session, c *Call) error {
	addr, err := s.address(c.Args)
	if err != nil {
		return err
	}
	b, err := memory.ReadBytes(s.space(), addr, jitSize)
	if err != nil {
		return Tellf("Unable to process JIT_DEBUG_INFO, NTSTATUS 0xC0000147")
	}
	return s.runText(ctx, fmt.Sprintf(".exr 0x%x;.cxr 0x%x", le64(b[jitRecordOffset:]), le64(b[jitContextOffset:])), 0)
}

// runFnret shows a value, that of rax when none is given, as the type that a
// function returns.
func runFnret(_ context.Context, s *Session, c *Call) error {
	addr, err := s.address(c.Args)
	if err != nil {
		return err
	}
	value, err := s.returnValue()
	if !c.Args.Done() {
		value, err = s.number(c.Args)
	}
	if err != nil {
		return err
	}
	t, ok := s.env().FunctionType(addr)
	if !ok || t.Elem() == nil || t.Elem().Kind == types.Void {
		return expr.Caret("Unknown or unsupported return type", c.Args.Pos)
	}
	s.printf("%s", expr.Print(s.env(), expr.Constant(t.Elem(), value), nil))
	return nil
}
