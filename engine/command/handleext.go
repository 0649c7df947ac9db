package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kdap/engine/windows"
)

// Flags of !handle.
const (
	handleBasic  = 0x1
	handleObject = 0x2
	handleFree   = 0x4
	handleKernel = 0x10 // the kernel's own table
	handleCID    = 0x20 // the number is a process or thread id

	handleDefault = handleBasic | handleObject
)

func cmdHandle() *Command {
	return &Command{
		Names: []string{"!handle"}, Args: "[Handle [Flags [Process [TypeName]]]]",
		Short: "show the handles of a process, with the objects they are for",
		Run:   runHandle,
	}
}

type handleArgs struct {
	handle   uint64 // 0: all
	flags    uint64
	typeName string // exact; "" for all
	tally    *handleTally
}

func runHandle(ctx context.Context, s *Session, c *Call) error {
	a := handleArgs{flags: handleDefault, tally: &handleTally{types: map[string]int{}}}
	process := ^uint64(0)
	numbers := []*uint64{&a.handle, &a.flags, &process}
	for _, n := range numbers {
		if c.Args.Done() {
			break
		}
		v, err := s.extensionNumber(c)
		if err != nil {
			return err
		}
		*n = v
	}
	if a.handle == ^uint64(0) {
		a.handle = 0
	}
	a.typeName = strings.TrimSpace(c.rest())
	if a.handle == 0 {
		defer func() { s.noteHandles(ctx, a.tally) }()
	}
	switch {
	case a.flags&handleCID != 0:
		return s.showCID(ctx, a)
	case a.flags&handleKernel != 0:
		table, err := s.sys.KernelHandleTable(ctx)
		if err != nil {
			return s.unable("Unable to read the kernel handle table", err)
		}
		s.printf("\n")
		return s.showHandles(ctx, a, table, true)
	case process == 0:
		return s.showAllHandles(ctx, a)
	}
	s.printf("\n")
	p, err := s.handleProcess(ctx, process)
	if err != nil {
		return err
	}
	return s.showProcessHandles(ctx, a, p)
}

// handleProcess returns the process of an argument: -1 for the current one, a
// process id, or an address.
func (s *Session) handleProcess(ctx context.Context, v uint64) (windows.Process, error) {
	if v == ^uint64(0) {
		if s.scope.process.Addr() == 0 {
			return windows.Process{}, Failf("Unable to get the current process data")
		}
		return s.scope.process, nil
	}
	p := s.sys.Process(v)
	if v>>47 == 0 { // no kernel address: a process id
		return s.searchProcess(ctx, v)
	}
	if !p.IsProcess() {
		return p, Failf("TYPE mismatch for process object at %016x", v)
	}
	return p, nil
}

func (s *Session) showAllHandles(ctx context.Context, a handleArgs) error {
	for p, err := range s.sys.Processes(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.notef("%v", err)
			continue
		}
		s.printf("\n")
		if err := s.showProcessHandles(ctx, a, p); err != nil && ctx.Err() != nil {
			return err
		}
	}
	return nil
}

func (s *Session) showProcessHandles(ctx context.Context, a handleArgs, p windows.Process) error {
	if err := s.showProcess(ctx, p, 0); err != nil {
		return err
	}
	table, err := p.ObjectTable()
	switch {
	case err != nil:
		s.notef("handle table of process %x: %v", p.Addr(), err)
		fallthrough
	case table == 0:
		s.printf("Process has no handle table\n")
		return nil
	}
	a.tally.begin(p)
	kernel, err := s.sys.KernelHandleTable(ctx)
	return s.showHandles(ctx, a, table, err == nil && kernel == table)
}

func (s *Session) showHandles(ctx context.Context, a handleArgs, table uint64, kernel bool) error {
	title := "Handle"
	if kernel {
		title = "Kernel handle"
	}
	count, err := s.sys.HandleTable(table).Count()
	if err != nil {
		s.notef("handle table %x: %v", table, err)
		s.printf("%s table at %016x with %s entries in use\n\n", title, table, notAccessible)
	} else {
		s.printf("%s table at %016x with %d entries in use\n\n", title, table, count)
	}
	if a.handle != 0 {
		h, err := s.sys.HandleEntryAt(table, a.handle)
		if err != nil {
			if !errors.Is(err, windows.ErrNoHandle) {
				s.notef("%v", err)
			}
			s.printf("%04x: not a valid handle in this process\n", a.handle)
			return ErrFailed
		}
		return s.showHandle(ctx, a, h)
	}
	entries := s.sys.TableHandles
	if a.flags&handleFree != 0 {
		entries = s.sys.AllEntries
	}
	for h, err := range entries(ctx, table) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.notef("%v", err)
			continue
		}
		if err := s.showHandle(ctx, a, h); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) showHandle(ctx context.Context, a handleArgs, h windows.Handle) error {
	if h.Object == 0 {
		if a.typeName == "" {
			s.printf("%04x: free handle, Entry address %016x, Next Entry %s\n", h.Handle, h.Entry.Addr(), hexText("%016x", h.NextFree))
		}
		return nil
	}
	o := h.Target()
	kind, kindErr := o.TypeName()
	if a.typeName != "" && (kindErr != nil || !strings.EqualFold(kind, a.typeName)) {
		return nil
	}
	if kindErr == nil {
		a.tally.add(kind)
	}
	if a.flags&(handleBasic|handleObject) != 0 {
		s.printf("%04x: Object: %016x  GrantedAccess: %s%s Entry: %016x\n",
			h.Handle, o.Addr(), hexText("%08x", h.Access), attributeText(h), h.Entry.Addr())
	}
	if a.flags&handleObject == 0 {
		return nil
	}
	if kindErr != nil {
		s.notef("object %x: %v", o.Addr(), kindErr)
		s.printf("%016x is not a valid object (ObjectHeader at %016x)\n\n", o.Addr(), o.Header().Addr())
		return nil
	}
	err := s.showObject(ctx, o, objectCounts, 4)
	s.printf("\n")
	return err
}

func attributeText(h windows.Handle) string {
	v, err := h.Attributes()
	if err != nil {
		return ""
	}
	text := ""
	for _, a := range []struct {
		bit  uint64
		name string
	}{{windows.HandleProtect, "Protected"}, {windows.HandleInherit, "Inherit"}, {windows.HandleAudit, "Audit"}} {
		if v&a.bit != 0 {
			text += fmt.Sprintf(" (%s)", a.name)
		}
	}
	return text
}

// showCID shows the process or thread that has an id.
func (s *Session) showCID(ctx context.Context, a handleArgs) error {
	h, err := s.sys.CIDEntry(a.handle)
	if err == nil && h.Object == 0 {
		err = windows.ErrNoHandle
	}
	if err != nil {
		if !errors.Is(err, windows.ErrNoHandle) {
			s.notef("%v", err)
		}
		s.printf("%04x: not a valid process or thread id\n", a.handle)
		return ErrFailed
	}
	return s.showHandle(ctx, a, h)
}
