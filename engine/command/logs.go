package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func logCommands() []*Command {
	return []*Command{
		{Names: []string{".logopen"}, Args: "[/t] [/u] [/d] [File]", Short: "keep commands and their output in a file", Run: func(_ context.Context, s *Session, c *Call) error {
			return s.openLog(c, false)
		}},
		{Names: []string{".logappend"}, Args: "[/u] [File]", Short: "the same, behind what the file holds", Run: func(_ context.Context, s *Session, c *Call) error {
			return s.openLog(c, true)
		}},
		{Names: []string{".logclose"}, Short: "close the log file", Run: func(_ context.Context, s *Session, _ *Call) error {
			s.closeLog()
			return nil
		}},
		{Names: []string{".logfile"}, Short: "tell whether a log file is open", Run: func(_ context.Context, s *Session, _ *Call) error {
			if s.log.file == nil {
				s.printf("No log file open\n")
			} else {
				s.printf("Log '%s' open\n", s.log.name)
			}
			return nil
		}},
	}
}

// A logFile is the file that a session's commands and output are kept in.
type logFile struct {
	name string
	file *os.File
}

// command notes a command with its prompt.
func (l *logFile) command(prompt, line string) {
	if l.file != nil {
		fmt.Fprintf(l.file, "%s%s\n", prompt, line)
	}
}

// A tee writes a command's output to the client and, while one is open, to the log file.
type tee struct {
	w   io.Writer
	log *logFile
}

func (t tee) Write(p []byte) (int, error) {
	if t.log.file != nil {
		_, _ = t.log.file.Write(p)
	}
	return t.w.Write(p)
}

// defaultLog is the name of a log that was given none.
const defaultLog = "dbgeng.log"

func (s *Session) openLog(c *Call, appending bool) error {
	a := c.Args
	given := s.logOptions(c)
	name := defaultLog
	if given['d'] {
		name = filepath.Base(strings.ReplaceAll(s.opts.DumpPath, `\`, "/")) + ".log"
	}
	switch {
	case a.Done():
	case a.Text[a.Pos] == '"':
		var err error
		if name, err = quoted(a); err != nil {
			return err
		}
	default:
		name = strings.TrimRight(upToSemicolon(a), " \t")
	}
	if s.opts.OutputDir == "" {
		return &refusal{text: refuseFile}
	}
	s.closeLog()
	if given['t'] {
		ext := filepath.Ext(name)
		name = fmt.Sprintf("%s_%04x_%s%s", strings.TrimSuffix(name, ext), os.Getpid()&0xffff, logTime(time.Now()), ext)
	}
	f, err := openBelow(s.opts.OutputDir, name, appending)
	if err != nil {
		s.notef("%v", err)
		s.printf("Log file could not be opened\n")
		s.interp.failed = true
		return nil
	}
	s.log = logFile{name: name, file: f}
	s.printf("Opened log file '%s'\n", name)
	return nil
}

// logOptions reads the switches. Only a whole word is one: a file's name may
// begin with a slash too.
func (s *Session) logOptions(c *Call) map[byte]bool {
	given := map[byte]bool{}
	for {
		w := c.Peek()
		if len(w) != 2 || w[0] != '/' && w[0] != '-' {
			return given
		}
		c.Word()
		if strings.IndexByte("tud", w[1]) < 0 {
			s.printf("Unknown option '%c'\n", w[1])
		}
		given[w[1]] = true
	}
}

func logTime(t time.Time) string {
	return t.Format("2006-01-02_15-04-05") + fmt.Sprintf("-%03d", t.Nanosecond()/int(time.Millisecond))
}

// openBelow opens a file for writing that lies in dir or in a folder of it:
// the name may be relative to dir, or absolute and lead into it. Links that
// lead out are not followed.
func openBelow(dir, name string, appending bool) (*os.File, error) {
	if filepath.IsAbs(name) {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		if name, err = filepath.Rel(abs, name); err != nil {
			return nil, err
		}
	}
	if !filepath.IsLocal(name) {
		return nil, errors.New("files may only be written below " + dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if appending {
		flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	return root.OpenFile(name, flags, 0o666)
}

func (s *Session) closeLog() {
	if s.log.file == nil {
		return
	}
	s.printf("Closing open log file %s\n", s.log.name)
	_ = s.log.file.Close()
	s.log = logFile{}
}

// Close ends the session: it closes its log file.
func (s *Session) Close() error {
	if s.log.file == nil {
		return nil
	}
	err := s.log.file.Close()
	s.log = logFile{}
	return err
}
