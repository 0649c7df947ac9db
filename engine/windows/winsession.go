package windows

import (
	"context"
	"errors"
)

// A WinSession is a session of the system, one for each user who is logged on
// and one for the services.
type WinSession struct {
	ID   uint32
	Addr uint64 // of its structure, in the space of its processes
	Type string // that structure's name: _MM_SESSION_SPACE, or _PSP_SESSION_SPACE

	Processes []Process
}

// Sessions returns the sessions in the order of their first processes, from
// what the processes say. With an error it returns what was found.
func (s *System) Sessions(ctx context.Context) ([]WinSession, error) {
	var found []WinSession
	var errs []error
	byID := map[uint32]int{}
	for p, err := range s.Processes(ctx) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		id, has, err := p.Session()
		if err != nil {
			errs = append(errs, err)
		}
		if err != nil || !has {
			continue
		}
		i, ok := byID[id]
		if !ok {
			i = len(found)
			byID[id] = i
			addr, _ := p.obj.Field("Session").Uint() // Session has just read it
			found = append(found, WinSession{ID: id, Addr: addr, Type: p.sessionType()})
		}
		found[i].Processes = append(found[i].Processes, p)
	}
	return found, errors.Join(errs...)
}
