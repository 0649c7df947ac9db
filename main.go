// Command kdap opens Windows crash dumps: as values, as a WinDbg console, and
// in an editor through the Debug Adapter Protocol.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"kdap/engine"
)

// Exit statuses.
const (
	exitFailed = 1 // a command failed, or a listing is incomplete
	exitUsage  = 2
	exitNoDump = 3 // the dump could not be opened
)

// version is set by the Makefile.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx)
	stop()
	os.Exit(code)
}

func run(ctx context.Context) int {
	root := &cobra.Command{
		Use:           "kdap",
		Short:         "Windows crash dumps in your editor and your terminal",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(listCommand(), runCommand(), shellCommand(), versionCommand(), doctorCommand(), dapCommand(), engineCommand(), demoCommand())
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var status statusError
	if errors.As(err, &status) {
		if status.err != nil {
			fmt.Fprintln(os.Stderr, "kdap:", status.err)
		}
		return status.code
	}
	fmt.Fprintln(os.Stderr, "kdap:", err)
	return exitUsage // what is left is cobra's: unknown commands, missing arguments
}

// A statusError ends the program with a status; a nil err says nothing more.
type statusError struct {
	code int
	err  error
}

func (e statusError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e statusError) Unwrap() error { return e.err }

type usageError struct{ error }

// openFlags are the flags of all commands that open a dump.
type openFlags struct {
	symbols, images, cache string
}

func (f *openFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.symbols, "symbols", "", "symbol path, before _NT_SYMBOL_PATH (elements divided by ;)")
	c.Flags().StringVar(&f.images, "images", "", "image path, before _NT_EXECUTABLE_IMAGE_PATH")
	c.Flags().StringVar(&f.cache, "cache", "", "folder for unpacked dumps, indexes and downloaded symbols")
}

func (f *openFlags) options() engine.Options {
	return engine.Options{SymbolPath: f.symbols, ImagePath: f.images, CacheDir: f.cache}
}

// open opens the dump; progress and problems go to stderr.
func (f *openFlags) open(ctx context.Context, path string) (*engine.Target, error) {
	o := f.options()
	progress := newProgress(os.Stderr)
	o.Progress = progress.update
	t, err := engine.Open(ctx, path, o)
	progress.done()
	if err != nil {
		return nil, statusError{exitNoDump, err}
	}
	for _, p := range t.Problems() {
		fmt.Fprintln(os.Stderr, "kdap: note:", p)
	}
	return t, nil
}
