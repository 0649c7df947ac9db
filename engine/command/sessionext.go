package command

import (
	"context"
	"strconv"

	"kdap/engine/format"
	"kdap/engine/windows"
)

func winSessionCommands() []*Command {
	return []*Command{cmdSessionExt(), cmdSprocess(), cmdJob()}
}

func cmdSessionExt() *Command {
	return &Command{
		Names: []string{"!session"}, Args: "[-s Session]",
		Short: "list the sessions, or make a process of one the process context",
		Run:   runSessionExt,
	}
}

func runSessionExt(ctx context.Context, s *Session, c *Call) error {
	sessions, err := s.sys.Sessions(ctx)
	if err != nil {
		s.notef("%v", err)
	}
	choose, id := false, int64(0)
	if letters, ok := c.Option(); ok {
		if letters != "s" {
			return Failf("Usage: !session [-s Session]")
		}
		word := c.Word()
		if id, err = strconv.ParseInt(word, 10, 64); err != nil {
			return Failf("Invalid session %s", word)
		}
		choose = true
	}
	s.printf("Sessions on machine: %d\n", len(sessions))
	if choose {
		return s.chooseSession(ctx, sessions, id)
	}
	s.printf("Valid Sessions:")
	for _, e := range sessions {
		s.printf(" %d", e.ID)
	}
	s.printf("\n")
	if id, has, err := s.scope.process.Session(); err == nil && has {
		s.printf("Current Session %d\n", id)
	} else {
		s.notef("the current process belongs to no session")
	}
	return nil
}

// chooseSession makes a process of the session the process context; -1 goes
// back to where the console began.
func (s *Session) chooseSession(_ context.Context, sessions []windows.WinSession, id int64) error {
	if id == -1 {
		s.setProcess(s.initial)
		s.printf("Implicit process is now %s\n", format.Addr(s.initial.Addr()))
		return nil
	}
	for _, e := range sessions {
		if int64(e.ID) != id || len(e.Processes) == 0 {
			continue
		}
		p := e.Processes[0]
		s.setProcess(p)
		s.printf("Implicit process is now %s\n.cache forcedecodeptes done\nUsing session %d\n", format.Addr(p.Addr()), id)
		return nil
	}
	return Failf("Session %d not found", id)
}

func cmdSprocess() *Command {
	return &Command{
		Names: []string{"!sprocess"}, Args: "[Session [Flags [ImageName]]]",
		Short: "list the processes of a session",
		Run:   runSprocess,
	}
}

// Special values of !sprocess's session.
const (
	sessionCurrent = -1
	sessionContext = -2
	sessionAll     = -4
)

func runSprocess(ctx context.Context, s *Session, c *Call) error {
	id := int64(sessionCurrent)
	if word := c.Word(); word != "" {
		var err error
		if id, err = strconv.ParseInt(word, 10, 64); err != nil {
			return Failf("Invalid session %s", word)
		}
	}
	flags, err := s.extensionNumberOr(c, 0)
	if err != nil {
		return err
	}
	image := c.Word()
	if id == sessionCurrent || id == sessionContext {
		p := s.initial
		if id == sessionContext {
			p = s.scope.process
		}
		now, has, err := p.Session()
		if err != nil || !has {
			if err != nil {
				s.notef("%v", err)
			}
			return Failf("The current process belongs to no session")
		}
		id = int64(now)
	}
	sessions, err := s.sys.Sessions(ctx)
	if err != nil {
		s.notef("%v", err)
	}
	shown := false
	for _, e := range sessions {
		if id != sessionAll && int64(e.ID) != id {
			continue
		}
		shown = true
		if err := s.showSessionProcesses(ctx, e, flags, image); err != nil {
			return err
		}
	}
	if !shown {
		return Failf("Session %d not found", id)
	}
	return nil
}

func (s *Session) showSessionProcesses(ctx context.Context, e windows.WinSession, flags uint64, image string) error {
	s.printf("Dumping Session %d\n%s %016x\n", e.ID, e.Type, e.Addr)
	if t, err := s.sys.Type(e.Type); err == nil {
		if f := t.Field("Session"); f != nil {
			s.printf("_MMSESSION        %016x\n", e.Addr+f.Offset)
		}
	}
	for _, p := range e.Processes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if image != "" && !s.hasImageName(p, image) {
			continue
		}
		if err := s.showProcess(ctx, p, flags); err != nil {
			return err
		}
	}
	return nil
}
