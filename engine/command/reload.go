package command

import (
	"context"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/format"
	"kdap/engine/windows"
)

const reloadUsage = `Usage: .reload [flags] [module [= Address [, Size] ]]
  Flags:   /d  Use the debugger's module list
               Default for live user-mode sessions
           /f  Force immediate symbol load instead of deferred
           /i  Load a symbol file even if it belongs to another build;
               implies /f
           /l  List the loaded drivers
           /n  Leave out the user modules
           /o  Accepted for compatibility
           /s  Read the module list from the target
               Default for crash dumps
           /u  Unload the module, or all modules
           /unl  Add a driver of the list of unloaded modules
           /user  Reload the user modules only
           /v  Show each module's address, size and stamps
           /w  Take wildcards in the name as plain characters
  The name is that of the image file, with its extension.
  Address, size and time stamp declare a module that is in no list.
  Without a name all modules are reloaded.
  .reload /f nt loads the kernel's symbols at once.
`

func cmdReload() *Command {
	return &Command{
		Names: []string{".reload"}, Args: "[/dfilnosuvw] [/unl] [/user] [Module[=Address[,Size[,TimeStamp]]]]",
		Short: "read the module list again, drop or declare modules, load symbols",
		Run:   runReload,
	}
}

// reloadOptions are the flags of .reload; name is the module's, decl says that
// it is declared with the values behind.
type reloadOptions struct {
	given             map[byte]bool
	unloaded, user    bool
	name              string
	decl              bool
	base, size, stamp uint64
}

// noPathBox is the answer to a load without a symbol path.
const noPathBox = `*********************************************************************
* Symbols can not be loaded because symbol path is not initialized. *
*                                                                   *
* The Symbol Path can be set by:                                    *
*   using the _NT_SYMBOL_PATH environment variable.                 *
*   using the -y <symbol_path> argument when starting the debugger. *
*   using .sympath and .sympath+                                    *
*********************************************************************
`

func runReload(ctx context.Context, s *Session, c *Call) error {
	o, err := s.reloadOptions(c)
	if err != nil {
		return err
	}
	if o.given['i'] {
		o.given['f'] = true
	}
	// A session that was never given a path looks in the dump alone; the box is
	// for one whose path was emptied.
	if own := s.symbols.own; o.given['f'] && own != nil && len(own.Path) == 0 {
		s.printf("%s", noPathBox)
		return nil
	}
	switch {
	case o.unloaded:
		return s.reloadUnloaded(ctx, o.name)
	case o.given['u']:
		return s.unloadModule(ctx, o.name)
	case o.decl:
		s.declareModule(ctx, o)
	case o.name == "":
		s.reloadAll(ctx, o)
	default:
		s.reloadNamed(ctx, o)
	}
	return ctx.Err()
}

func (s *Session) reloadOptions(c *Call) (reloadOptions, error) {
	o := reloadOptions{given: map[byte]bool{}}
	for !c.Args.Done() && strings.IndexByte("/-", c.Args.Text[c.Args.Pos]) >= 0 {
		word := c.Word()[1:]
		switch word {
		case "unl":
			o.unloaded = true
			continue
		case "user":
			o.user = true
			continue
		}
		for _, letter := range []byte(word) {
			if letter != '?' && strings.IndexByte("dfilnosuvw", letter) < 0 {
				s.printf("Reload: Unknown option '%c'\n", letter)
				letter = '?'
			}
			if letter == '?' {
				skipToSemicolon(c.Args)
				return o, Tellf("%s", strings.TrimSuffix(reloadUsage, "\n"))
			}
			o.given[letter] = true
		}
	}
	return o, s.reloadModule(c.Args, &o)
}

// reloadModule reads the module and the values that declare it.
func (s *Session) reloadModule(c *expr.Cursor, o *reloadOptions) error {
	if c.Done() {
		return nil
	}
	if c.Accept(`@"`) {
		end := strings.IndexByte(c.Rest(), '"')
		if end < 0 {
			end = len(c.Rest())
		}
		o.name = c.Rest()[:end]
		c.Pos = min(c.Pos+end+1, len(c.Text))
	} else if c.Text[c.Pos] == '"' {
		// Quotes do not help: everything is reloaded, then the rest is too much.
		if end := strings.IndexByte(c.Rest()[1:], '"'); end >= 0 {
			c.Pos += 1 + end
		}
		return nil
	} else {
		end := strings.IndexAny(c.Rest(), " \t;=")
		if end < 0 {
			end = len(c.Rest())
		}
		o.name = c.Rest()[:end]
		c.Pos += end
	}
	if !c.Accept("=") {
		return nil
	}
	o.decl = true
	for i, v := range []*uint64{&o.base, &o.size, &o.stamp} {
		if i > 0 && !c.Accept(",") {
			return nil
		}
		var err error
		if *v, err = s.number(c); err != nil {
			return err
		}
	}
	return nil
}

// reloadAll reads the lists again.
func (s *Session) reloadAll(ctx context.Context, o reloadOptions) {
	switch {
	case s.sys.User() != nil:
		s.reloadProcess(ctx, o)
		return
	case o.given['d']:
		s.printf("Reloading current modules\n")
		all := s.moduleSet(ctx).All()
		for _, m := range all {
			delete(s.modules.states, m)
		}
		s.reloadCurrent(ctx, all)
	case !o.user:
		s.reloadKernel(ctx, o)
	}
	if !o.given['d'] && !o.given['n'] {
		if o.given['l'] {
			s.printf("\n")
		}
		s.reloadUserList(ctx, o)
	}
	if o.given['l'] {
		s.lmUnloaded(lmOptions{given: map[byte]bool{}})
	} else if !o.given['d'] && !o.user {
		s.printf("Loading unloaded module list\n")
		n := 0
		for _, err := range s.sys.UnloadedDrivers() {
			if err == nil {
				n++
			}
		}
		s.printf("%s", strings.Repeat(".", n))
		if !o.given['n'] {
			s.loadNtdllAloud(ctx)
		}
		s.printf("\n")
	}
	if !o.user {
		s.loadScope(ctx)
	}
	s.printLoadErrors(ctx)
}

// reloadProcess is .reload in the dump of one process: its modules are all there are.
func (s *Session) reloadProcess(ctx context.Context, o reloadOptions) {
	s.modules.loadKernel()
	mods := s.moduleSet(ctx).Listed()
	if o.given['f'] {
		s.forceList(ctx, mods, o)
	} else {
		s.printDots(len(mods))
	}
	s.loadScope(ctx)
	s.printLoadErrors(ctx)
}

// loadScope loads the symbols of the kernel and of the module that called the
// current function, which the debugger looks at after a reload.
func (s *Session) loadScope(ctx context.Context) {
	s.symbols.started = false
	s.modules.scope = nil
	s.useScope()
	s.settle(ctx)
}

// reloadKernel goes back to the kernel's list and tells of it.
func (s *Session) reloadKernel(ctx context.Context, o reloadOptions) {
	s.modules.loadKernel()
	if o.given['n'] {
		s.modules.loadUser(ctx, windows.Process{})
	}
	mods := s.sys.KernelModules(ctx).Listed()
	switch {
	case o.given['l']:
		s.printf("System Driver and Image Summary\nBase                Code Size      Data Size      Image Name        Creation Time\n")
		for _, m := range mods {
			var code, data uint32
			if img, err := m.Image(); err == nil {
				code, data = img.SizeOfCode, img.SizeOfInitializedData
			}
			s.printf("%s %6x (%4d k) %6x (%4d k) %12s  %s\n", format.Addr(m.Base), code, code>>10, data, data>>10,
				visible(m.ImageName), format.CTime(int64(m.TimeDateStamp)))
		}
		return
	case o.given['v']:
		s.printf("Loading Kernel Symbols\n")
		for _, m := range mods {
			if m == s.sys.Nt() {
				continue
			}
			s.printf("AddImage: %s\n DllBase  = %s\n Size     = %08x\n Checksum = %08x\n TimeDateStamp = %08x\n",
				visible(m.Path), format.Addr(m.Base), m.Size, m.CheckSum, m.TimeDateStamp)
		}
		return
	}
	s.printf("Loading Kernel Symbols\n")
	if o.given['f'] {
		s.forceList(ctx, mods, o)
		return
	}
	n := len(mods)
	if nt := s.sys.Nt(); nt != nil {
		n-- // it has its place in the first line, but no dot
	}
	first := min(n, dotsInLine-1)
	s.printf("%s\n", strings.Repeat(".", first))
	if n > first {
		s.printDots(n - first)
	}
}

// reloadUserList loads the user modules of the process context.
func (s *Session) reloadUserList(ctx context.Context, o reloadOptions) {
	s.printf("Loading User Symbols\n")
	set := s.modules.loadUser(ctx, s.scope.process)
	var mods []*windows.Module
	if set != nil {
		mods = set.Listed()
	}
	switch {
	case o.given['f']:
		s.forceList(ctx, mods, o)
	case s.tellPagedOutPEB(s.scope.process, len(mods)):
	case len(mods) > 0 || !o.given['l']:
		s.printDots(len(mods))
	}
}

// forceList loads modules at once: one dot each, and behind it what there is
// to say of its image.
func (s *Session) forceList(ctx context.Context, mods []*windows.Module, o reloadOptions) {
	s.moduleSet(ctx)
	var fetched []fetchedSymbols
	if !o.given['i'] {
		for _, m := range mods {
			m.ForgetFailure()
		}
		fetched = s.fetchAll(ctx, mods)
	}
	for i, m := range mods {
		if ctx.Err() != nil {
			return
		}
		load := func() {
			if fetched == nil {
				s.forceLoad(ctx, m, o)
				return
			}
			delete(s.modules.states, m)
			s.keepSymbols(m, fetched[i].table, fetched[i].report, fetched[i].err)
		}
		if m == s.sys.Nt() {
			load()
			continue
		}
		s.printf(".")
		if s.symbols.noisy {
			s.printf("\n")
		}
		s.modules.quiet = true
		load()
		s.modules.quiet = false
		s.printLoadMessages(ctx, m, m.Path)
	}
	s.printf("\n")
}

// printLoadMessages says what the debugger says when it loads a module: that
// there is no image file, and what is wrong with the image's header.
func (s *Session) printLoadMessages(ctx context.Context, m *windows.Module, path string) {
	if f, _, err := m.LocalFile(ctx, s.finder()); err != nil {
		s.printf("Unable to load image %s, Win32 error 0n2\n", visible(path))
	} else {
		_ = f.Close()
	}
	switch st := s.modules.state(m); {
	case st.badTime:
		s.printf("*** WARNING: Unable to verify timestamp for %s\n", visible(m.ImageName))
	case st.badSum:
		s.printf("*** WARNING: Unable to verify checksum for %s\n", visible(m.ImageName))
	}
}

// loadNtdllAloud loads the process's ntdll and says what is wrong with it.
func (s *Session) loadNtdllAloud(ctx context.Context) {
	m := s.ntdll(ctx)
	if m == nil || s.modules.state(m).loaded {
		return
	}
	s.modules.quiet = true
	s.symbolsOf(ctx, m)
	s.modules.quiet = false
	s.printLoadMessages(ctx, m, m.Path)
}

// reloadCurrent defers the modules of the list and loads the kernel's symbols.
func (s *Session) reloadCurrent(ctx context.Context, mods []*windows.Module) {
	for i, m := range mods {
		delete(s.modules.states, m)
		s.printf(".")
		if m == s.sys.Nt() {
			s.symbolsOf(ctx, m)
			_, path := m.DebuggerImage()
			s.printLoadMessages(ctx, m, path)
		} else if (i+1)%dotsInLine == 0 {
			s.printf("\n")
		}
	}
	s.printf("\n")
}

// forceLoad loads a module's symbols now, searching again for what was not
// found before.
func (s *Session) forceLoad(ctx context.Context, m *windows.Module, o reloadOptions) {
	delete(s.modules.states, m)
	if !o.given['i'] {
		m.ForgetFailure()
		s.symbolsOf(ctx, m)
		return
	}
	s.loadAnything(ctx, m)
}

// loadAnything loads a module's symbols, those of another build too.
func (s *Session) loadAnything(ctx context.Context, m *windows.Module) {
	f := cloneFinder(s.finder())
	f.LoadAnything = true
	t, report, err := m.LoadSymbols(ctx, f, s.tableOptions())
	if ctx.Err() == nil {
		s.keepSymbols(m, t, report, err)
	}
}
