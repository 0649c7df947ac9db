package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"kdap/engine"
	"kdap/engine/command"
)

func runCommand() *cobra.Command {
	var open openFlags
	var lines []string
	var script, dump, outputDir string
	var record bool
	c := &cobra.Command{
		Use:   "run DUMP -c COMMANDS",
		Short: "run console commands on a dump and print their answers",
		Long: "Runs WinDbg commands on a dump. Answers go to stdout as they are made, notes to stderr.\n" +
			"An error ends its line; the next line runs.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dump, err := oneDump(args, dump)
			if err != nil {
				return err
			}
			if len(lines) == 0 && script == "" {
				return usageError{errors.New("nothing to run: give commands with -c or a file with --script")}
			}
			src, err := scriptLines(lines, script)
			if err != nil {
				return usageError{err}
			}
			t, err := open.open(c.Context(), dump)
			if err != nil {
				return err
			}
			defer t.Close()
			s := newSession(t, dump, outputDir, record)
			defer s.Close()
			return runLines(c.Context(), s, src, record)
		},
	}
	open.add(c)
	c.Flags().StringArrayVarP(&lines, "command", "c", nil, "commands to run; may be given more than once")
	c.Flags().StringVar(&script, "script", "", "file of commands, one line each; - for standard input")
	c.Flags().StringVarP(&dump, "dump", "z", "", "the dump, as kd takes it")
	c.Flags().StringVar(&outputDir, "output-dir", "", "folder that log files may be written to")
	c.Flags().BoolVar(&record, "record", false, "print each command's output between <<< COMMAND and >>>, from the bare engine's start state")
	return c
}

// newSession starts a console that may read files, and write below outputDir.
func newSession(t *engine.Target, dump, outputDir string, record bool) *command.Session {
	return command.NewSession(t, command.Options{
		Record: record, OutputDir: outputDir, ScriptFiles: true, DumpPath: dump,
		Version: version, CommandLine: strings.Join(os.Args, " "),
	})
}

// oneDump returns the dump that a command line names, as its argument or, as
// kd takes it, with -z.
func oneDump(args []string, flag string) (string, error) {
	if (len(args) == 1) == (flag != "") {
		return "", usageError{errors.New("name one dump, as DUMP or with -z")}
	}
	if len(args) == 1 {
		return args[0], nil
	}
	return flag, nil
}

// scriptLines returns the lines of -c, then those of the script.
func scriptLines(lines []string, script string) ([]string, error) {
	if script == "" {
		return lines, nil
	}
	in := io.Reader(os.Stdin)
	if script != "-" {
		f, err := os.Open(script)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, maxScriptLine)
	for sc.Scan() {
		lines = append(lines, strings.TrimRight(sc.Text(), "\r"))
	}
	return lines, sc.Err()
}

// maxScriptLine bounds one line of a script.
const maxScriptLine = 16 << 20

func runLines(ctx context.Context, s *command.Session, lines []string, record bool) error {
	out := newStream(os.Stdout)
	defer out.Flush()
	o := command.Output{Out: out, Note: func(text string) { fmt.Fprintln(os.Stderr, "kdap: note:", text) }}
	failed := false
	if record {
		fmt.Fprint(out, "<<< open\n")
		s.Banner(ctx, out)
		fmt.Fprint(out, ">>>\n")
	}
	for _, line := range lines {
		if record {
			fmt.Fprintf(out, "<<< %s\n", line)
		}
		err := s.Execute(ctx, line, o)
		if record {
			fmt.Fprint(out, ">>>\n")
		}
		if ferr := out.Flush(); ferr != nil {
			return statusError{exitFailed, ferr}
		}
		switch {
		case ctx.Err() != nil:
			return statusError{exitFailed, errors.New("interrupted")}
		case errors.Is(err, command.ErrQuit):
			return status(failed)
		case err != nil:
			failed = true
			tellPanic(os.Stderr, err)
		}
	}
	return status(failed)
}

// tellPanic shows where a fault of kdap's own happened, for a report of it.
func tellPanic(w io.Writer, err error) {
	if p := (*command.Panic)(nil); errors.As(err, &p) {
		fmt.Fprintf(w, "kdap: %v\n%s", p, p.Stack)
	}
}

func status(failed bool) error {
	if failed {
		return statusError{code: exitFailed}
	}
	return nil
}
