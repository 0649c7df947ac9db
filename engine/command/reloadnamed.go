package command

import (
	"context"
	"strings"

	"kdap/engine/format"
	"kdap/engine/symbols"
	"kdap/engine/wildcard"
	"kdap/engine/windows"
)

// listedModules returns the modules of the dump's lists whose file a name
// stands for.
func (s *Session) listedModules(ctx context.Context, o reloadOptions) []*windows.Module {
	match := func(m *windows.Module) bool { return strings.EqualFold(m.ImageName, o.name) }
	if !o.given['w'] {
		p := wildcard.Compile(o.name)
		match = func(m *windows.Module) bool { return p.Match(m.ImageName) }
	}
	var found []*windows.Module
	if s.modules.user != nil {
		for _, m := range s.modules.user.All() {
			if match(m) {
				found = append(found, m)
			}
		}
	}
	if o.user {
		return found
	}
	for _, m := range s.sys.KernelModules(ctx).All() {
		if match(m) || m == s.sys.Nt() && strings.EqualFold(o.name, m.Name) {
			found = append(found, m)
		}
	}
	return found
}

func (s *Session) reloadNamed(ctx context.Context, o reloadOptions) {
	s.moduleSet(ctx)
	found := s.listedModules(ctx, o)
	if len(found) == 0 {
		s.notListed(ctx, o)
		return
	}
	var failed []*windows.Module
	for _, m := range found {
		s.modules.restore(m)
		delete(s.modules.states, m)
		if !o.given['f'] {
			if m == s.sys.Nt() {
				s.loadScope(ctx)
			}
			continue
		}
		s.forceLoad(ctx, m, o)
		if m == s.sys.Nt() {
			s.loadScope(ctx)
		}
		if st := s.modules.state(m); st.failed && st.table.Rank == symbols.NoSymbols {
			failed = append(failed, m)
		}
	}
	s.printErrorSummary(failed)
}

// notListed tells that a module is in no list: the debugger then tries to
// load it from address 0, which never works for a dump.
func (s *Session) notListed(ctx context.Context, o reloadOptions) {
	name := o.name[strings.LastIndexAny(o.name, `\/`)+1:]
	s.printf("\n\"%s\" was not found in the image list.\n", o.name)
	s.printf("Debugger will attempt to load \"%s\" at given base %s.\n\n", o.name, format.Addr(0))
	s.printf("Please provide the full image name, including the extension (i.e. kernel32.dll)\n" +
		"for more reliable results.Base address and size overrides can be given as\n.reload <image.ext>=<base>,<size>.\n")
	s.printf("Unable to load image %s, Win32 error 0n2\n", o.name)
	s.printf("*** WARNING: Unable to verify timestamp for %s\n", name)
	s.printf("*** ERROR: Module load completed but symbols could not be loaded for %s\n", name)
	s.printf("Unable to add module at %s\n", format.Addr(0))
	if !o.given['f'] {
		return
	}
	var failed []*windows.Module
	for _, m := range s.moduleSet(ctx).All() {
		if strings.EqualFold(m.ImageName, name) && s.modules.state(m).failed {
			failed = append(failed, m)
		}
	}
	s.printErrorSummary(failed)
}

// declareModule adds a module that is in no list.
func (s *Session) declareModule(ctx context.Context, o reloadOptions) {
	m := s.sys.DeclaredModule(o.name, o.base, o.size, uint32(o.stamp), o.base>>63 == 0)
	s.modules.declare(ctx, s, m)
	if o.given['f'] {
		s.forceLoad(ctx, m, o)
	}
}

// reloadUnloaded adds an unloaded driver as a module.
func (s *Session) reloadUnloaded(ctx context.Context, name string) error {
	if name == "" {
		return Tellf("/unl requires an image name")
	}
	for d, err := range s.sys.UnloadedDrivers() {
		if err == nil && strings.EqualFold(d.Name, name) {
			s.modules.declare(ctx, s, s.sys.UnloadedModule(d, name))
			return nil
		}
	}
	return Tellf("No unloaded module named '%s'", name)
}

// unloadModule takes a module, or all, off the list.
func (s *Session) unloadModule(ctx context.Context, name string) error {
	for _, m := range s.moduleSet(ctx).Listed() {
		image, _ := m.DebuggerImage()
		if name != "" && !strings.EqualFold(m.Name, name) && !strings.EqualFold(image, name) {
			continue
		}
		s.modules.remove(m)
		if name != "" {
			s.printf("Unloaded %s\n", name)
			return nil
		}
	}
	if name != "" {
		return Tellf("Unable to find module '%s'", name)
	}
	s.printf("Unloaded all modules\n")
	return nil
}
