package command

import (
	"context"
	"fmt"
	"path"
	"strings"

	"kdap/engine/windows"
)

func cmdTlist() *Command {
	return &Command{
		Names: []string{".tlist"}, Args: "[-v] [-c] [Pattern]",
		Short: "list the dump's processes: id and name", Run: runTlist,
	}
}

func runTlist(ctx context.Context, s *Session, c *Call) error {
	verbose, current, pattern := false, false, ""
	for !c.Args.Done() {
		switch word := c.Word(); {
		case strings.EqualFold(word, "-v"):
			verbose = true
		case strings.EqualFold(word, "-c"):
			current = true
		default:
			pattern = strings.ToLower(word)
		}
	}
	if s.sys.User() != nil {
		return Failf(refuseHost, c.Name)
	}
	show := func(p windows.Process) {
		name := imageText(p)
		if ok, err := path.Match(pattern, strings.ToLower(name)); pattern != "" && (err != nil || !ok) {
			return
		}
		id := "?"
		if pid, err := p.PID(); err == nil {
			id = fmt.Sprint(pid)
		}
		s.printf("%7s %s\n", "0n"+id, name)
		if verbose {
			line, _ := s.commandLine(p)
			s.printf("        Session: %s  User: %s\n        Command Line: %s\n", mexSession(p), s.userName(p), line)
		}
	}
	if current {
		p, err := s.debuggee.process(s)
		if err != nil {
			return err
		}
		show(p)
		return nil
	}
	for p, err := range s.sys.ActiveProcesses(ctx) {
		if cerr := ctx.Err(); cerr != nil {
			return cerr
		}
		if err != nil {
			s.notef("%v", err)
			break
		}
		show(p)
	}
	return nil
}
