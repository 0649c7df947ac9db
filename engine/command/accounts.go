package command

import (
	"fmt"

	"kdap/engine/windows"
	"kdap/engine/windows/machine"
)

// accountNames returns the names that the dump has for accounts. They are read
// once; not when the command was cancelled meanwhile.
func (s *Session) accountNames() *machine.Accounts {
	if s.accounts != nil {
		return s.accounts
	}
	a := machine.NewAccounts(s.ctx, s.sys)
	if s.ctx.Err() == nil {
		s.accounts = a
	}
	return a
}

// sidText spells a SID; with names also the account it stands for. The names
// are those that the dump has: nobody is asked.
func (s *Session) sidText(sid windows.SID, names bool) string {
	if !names {
		return string(sid)
	}
	if kind, name, ok := sid.Account(); ok {
		return fmt.Sprintf("%s (%s: %s)", sid, kind, name)
	}
	name := s.accountNames().Name(s.ctx, sid)
	if name == "" {
		return string(sid) + " (no name mapped)"
	}
	return fmt.Sprintf("%s (User: %s)", sid, visible(name))
}

// userName is the account of a process's token: its name, else its SID.
func (s *Session) userName(p windows.Process) string {
	t, err := p.Token()
	if err != nil {
		return ""
	}
	text, err := s.accountNames().Text(s.ctx, t)
	if err != nil {
		s.notef("%v", err)
	}
	return visible(text)
}
