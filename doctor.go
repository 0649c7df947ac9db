package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kdap/engine/symbols"
	"kdap/engine/windows"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print kdap's version",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "kdap %s %s/%s %s\n", version, runtime.GOOS, runtime.GOARCH, runtime.Version())
			return err
		},
	}
}

func doctorCommand() *cobra.Command {
	var open openFlags
	c := &cobra.Command{
		Use:   "doctor [DUMP]",
		Short: "check the symbol path, the cache and the editor, and whether a dump's symbols are found",
		Long: "Looks for what keeps kdap from working well. Each line says what was looked at and what was found;\n" +
			"a line that begins with FAIL has a cure behind it. The servers of the symbol path are asked whether they answer.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			d := &doctor{out: c.OutOrStdout()}
			d.program()
			d.cache(open.cache)
			d.path(c.Context(), "symbol path", symbols.SymbolPath(open.symbols),
				"empty: only the embedded profiles serve; set _NT_SYMBOL_PATH or give --symbols; srv* asks Microsoft's server")
			d.path(c.Context(), "image path", symbols.ImagePath(open.images), "empty")
			d.editor()
			if len(args) == 1 {
				d.dump(c.Context(), &open, args[0])
			}
			if d.failed {
				return statusError{code: exitFailed}
			}
			return nil
		},
	}
	open.add(c)
	return c
}

// A doctor prints what it looked at.
type doctor struct {
	out    io.Writer
	failed bool
}

func (d *doctor) good(what, found string) { fmt.Fprintf(d.out, "ok    %s: %s\n", what, found) }

// note is for what is not there and may be missed.
func (d *doctor) note(what, found string) { fmt.Fprintf(d.out, "note  %s: %s\n", what, found) }

func (d *doctor) bad(what, found, cure string) {
	d.failed = true
	if cure != "" {
		found += "; " + cure
	}
	fmt.Fprintf(d.out, "FAIL  %s: %s\n", what, found)
}

func (d *doctor) program() {
	d.good("kdap", fmt.Sprintf("%s %s/%s %s", version, runtime.GOOS, runtime.GOARCH, runtime.Version()))
	self, err := os.Executable()
	if err != nil {
		d.bad("program", err.Error(), "")
		return
	}
	if found, err := exec.LookPath("kdap"); err != nil {
		d.note("program", self+" is not in PATH: the editor's setting kdap.path must name it")
	} else if found, err = filepath.EvalSymlinks(found); err == nil && found != self {
		d.note("program", self+"; PATH leads to another one, "+found)
	} else {
		d.good("program", self)
	}
}

// cache checks that files can be made in the cache folder.
func (d *doctor) cache(given string) {
	const what, cure = "cache folder", "name another one with --cache"
	dir := given
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			d.bad(what, err.Error(), cure)
			return
		}
		dir = filepath.Join(base, "kdap")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		d.bad(what, err.Error(), cure)
		return
	}
	f, err := os.CreateTemp(dir, "doctor-*")
	if err != nil {
		d.bad(what, err.Error(), cure)
		return
	}
	_ = f.Close()
	_ = os.Remove(f.Name())
	d.good(what, dir)
}

// path checks the elements of a symbol or image path; empty is what is said of
// one without elements.
func (d *doctor) path(ctx context.Context, what string, p symbols.Path, empty string) {
	if len(p) == 0 {
		d.note(what, empty)
		return
	}
	for _, e := range p {
		name := what + " element " + e.Text
		if e.Kind == symbols.Folder {
			if state, err := e.Validate(); err != nil {
				d.bad(name, err.Error(), "take it out, or make the folder")
			} else {
				d.good(name, fmt.Sprint(state))
			}
			continue
		}
		for _, store := range e.Stores {
			d.store(ctx, name, store)
		}
	}
}

// store checks one place of a server element: a server answers, a folder of a
// chain is there or can be made.
func (d *doctor) store(ctx context.Context, name, store string) {
	lower := strings.ToLower(store)
	switch {
	case store == "":
		return // the default cache
	case strings.HasPrefix(lower, "http://"), strings.HasPrefix(lower, "https://"):
		if err := answers(ctx, store); err != nil {
			d.bad(name, "no answer: "+err.Error(), "check the network, or go without it: what the cache holds serves")
		} else {
			d.good(name, store+" answers")
		}
	default:
		switch st, err := os.Stat(store); {
		case errors.Is(err, os.ErrNotExist):
			d.note(name, store+" is made when something is stored")
		case err != nil:
			d.bad(name, err.Error(), "")
		case !st.IsDir():
			d.bad(name, store+" is no folder", "")
		default:
			d.good(name, store)
		}
	}
}

// serverPatience is how long a symbol server may take.
const serverPatience = 10 * time.Second

// answers asks a server for its front page; any answer is one.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, serverPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// editors are the programs of the editors that take the extension, and where
// each keeps extensions below the home folder.
var editors = []struct{ program, extensions string }{
	{"code", ".vscode/extensions"},
	{"code-insiders", ".vscode-insiders/extensions"},
	{"codium", ".vscode-oss/extensions"},
	{"code-server", ".local/share/code-server/extensions"},
	{"cursor", ".cursor/extensions"},
}

func (d *doctor) editor() {
	const what = "editor"
	home, err := os.UserHomeDir()
	if err != nil {
		d.note(what, err.Error())
		return
	}
	found := false
	for _, e := range editors {
		program, perr := exec.LookPath(e.program)
		installed, _ := filepath.Glob(filepath.Join(home, filepath.FromSlash(e.extensions), "kdap.kdap-*"))
		switch {
		case len(installed) > 0:
			found = true
			d.good(what, e.program+" has the extension, "+filepath.Base(installed[len(installed)-1]))
		case perr == nil:
			found = true
			d.note(what, fmt.Sprintf("%s has no kdap extension; %s --install-extension kdap.vsix", program, e.program))
		}
	}
	if !found {
		d.note(what, "none found; any client of the Debug Adapter Protocol can run 'kdap dap'")
	}
}

// dump opens a dump and says where its symbols come from.
func (d *doctor) dump(ctx context.Context, open *openFlags, path string) {
	t, err := open.open(ctx, path)
	if err != nil {
		d.bad("dump", err.Error(), "")
		return
	}
	defer t.Close()
	d.good("dump", t.Dump.Type().String()+", "+t.Dump.Path())
	nt := t.System.Nt()
	if nt == nil {
		d.bad("kernel", windows.ErrNoKernel.Error(), "")
		return
	}
	tab := nt.Symbols(ctx)
	switch {
	case tab.File != "":
		d.good("kernel symbols", fmt.Sprintf("%v, %s", tab.Rank, tab.File))
	case nt.SymbolsErr() != nil:
		d.bad("kernel symbols", nt.SymbolsErr().Error(), "")
	default:
		d.note("kernel symbols", fmt.Sprint(tab.Rank))
	}
}
