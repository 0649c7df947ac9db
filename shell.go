package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/chzyer/readline"
	"github.com/spf13/cobra"

	"kdap/engine/command"
)

// clearScreen is the terminals' word for it: cursor home, erase all.
const clearScreen = "\x1b[H\x1b[2J"

func shellCommand() *cobra.Command {
	var open openFlags
	var dump, outputDir string
	c := &cobra.Command{
		Use:   "shell DUMP",
		Short: "a WinDbg console on a dump, in the terminal",
		Long: "A console that takes WinDbg's commands. Tab completes commands, modules, symbols and process names;\n" +
			"an empty line repeats the last command; Ctrl-C stops the running one; q ends.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dump, err := oneDump(args, dump)
			if err != nil {
				return err
			}
			t, err := open.open(c.Context(), dump)
			if err != nil {
				return err
			}
			defer t.Close()
			s := newSession(t, dump, outputDir, false)
			defer s.Close()
			return newShell(s).run()
		},
	}
	open.add(c)
	c.Flags().StringVarP(&dump, "dump", "z", "", "the dump, as kd takes it")
	c.Flags().StringVar(&outputDir, "output-dir", "", "folder that log files may be written to")
	return c
}

// A shell is a console in a terminal.
type shell struct {
	session *command.Session
	in      *readline.Instance
	out     io.Writer
	last    string // the last command, which an empty line repeats
}

func newShell(s *command.Session) *shell { return &shell{session: s} }

// run reads and runs commands until q or the end of the input.
func (sh *shell) run() error {
	in, err := readline.NewEx(&readline.Config{
		Prompt:            sh.session.Prompt(),
		HistoryFile:       historyFile(),
		HistorySearchFold: true,
		AutoComplete:      sh,
		InterruptPrompt:   "^C",
	})
	if err != nil {
		return statusError{exitFailed, err}
	}
	defer in.Close()
	sh.in, sh.out = in, in.Stdout()
	sh.session.Banner(context.Background(), sh.out)
	for {
		if before := sh.session.PromptCommand(); before != "" {
			if err := sh.execute(before); errors.Is(err, command.ErrQuit) {
				return nil
			}
		}
		in.SetPrompt(sh.session.Prompt())
		line, err := in.Readline()
		switch {
		case errors.Is(err, readline.ErrInterrupt):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return statusError{exitFailed, err}
		}
		if strings.TrimSpace(line) == "" {
			line = sh.last
		}
		if strings.EqualFold(strings.TrimSpace(line), ".cls") {
			fmt.Fprint(sh.out, clearScreen)
			continue
		}
		sh.last = line
		if err := sh.execute(line); errors.Is(err, command.ErrQuit) {
			return nil
		}
	}
}

// execute runs one line; Ctrl-C ends it, not the shell.
func (sh *shell) execute(line string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	out := newStream(sh.out)
	err := sh.session.Execute(ctx, line, command.Output{
		Out:  out,
		Note: func(text string) { _ = out.Flush(); fmt.Fprintln(sh.in.Stderr(), noteColor(text)) },
	})
	_ = out.Flush()
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(sh.out, "^C")
	}
	tellPanic(sh.in.Stderr(), err)
	return err
}

// noteColor dims a note on a terminal.
func noteColor(text string) string {
	if !readline.DefaultIsTerminal() {
		return "note: " + text
	}
	return "\x1b[2mnote: " + text + "\x1b[0m"
}

// historyFile is where the lines are kept, "" when there is no place.
func historyFile() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	dir = filepath.Join(dir, "kdap")
	if os.MkdirAll(dir, 0o700) != nil {
		return ""
	}
	return filepath.Join(dir, "history")
}

// Do completes the word before pos for the terminal: it wants what follows the
// letters that were typed.
func (sh *shell) Do(line []rune, pos int) (rest [][]rune, length int) {
	text := string(line[:pos])
	start, items := sh.session.Complete(context.Background(), text, len(text))
	typed := []rune(text[start:])
	for _, item := range items {
		full := []rune(item.Text)
		if len(full) >= len(typed) {
			rest = append(rest, full[len(typed):])
		}
	}
	return rest, len(typed)
}
