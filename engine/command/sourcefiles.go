package command

import (
	"context"
	"errors"
	"slices"

	"kdap/engine/source"
	"kdap/engine/symbols"
	"kdap/engine/windows"
)

// SetSourceMap says where the files of folders of the build machine are here.
// It must not be called once the session is used.
func (s *Session) SetSourceMap(maps []source.Mapping) { s.source.maps = maps }

// SetSourcePath says where source files are looked for, before the places that
// the environment names.
func (s *Session) SetSourcePath(path string) {
	p := symbols.SourcePath(path)
	s.symbols.source.Store(&p)
}

// SourcePath is where the session looks for source files. It may be asked
// beside a command.
func (s *Session) SourcePath() symbols.Path {
	if p := s.symbols.source.Load(); p != nil {
		return *p
	}
	return symbols.SourcePath("")
}

// SourcePlaces are where the session looks for source files: folders, and with
// "srv*" in its path what remote fetches. They may be asked for beside a command.
func (s *Session) SourcePlaces(remote *source.Remote) source.Places {
	return source.NewPlaces(s.source.maps, source.NewPath(s.SourcePath()), remote)
}

// allSourceNoise is the setting of .srcnoisy that shows the search for files,
// serverNoise the bit that shows what servers answer.
const (
	allSourceNoise = 3
	serverNoise    = 2
)

// tracedPlaces are the session's, with .srcnoisy's messages.
func (s *Session) tracedPlaces() source.Places {
	places := s.SourcePlaces(s.target.Sources)
	if s.symbols.srcNoisy == allSourceNoise {
		places.Trace = s.traceSource
	}
	return places
}

// findSource looks for the file that a symbol file names.
func (s *Session) findSource(ctx context.Context, m *windows.Module, name string) (source.File, error) {
	places := s.tracedPlaces()
	if places.Trace != nil {
		s.printf("DBGENG:  Find '%s'\n", visible(name))
		for _, loaded := range slices.Backward(s.source.loaded) {
			s.printf("DBGENG:  '%s' doesn't match '%s'\n", visible(loaded), visible(name))
		}
		s.printf("DBGENG:  Not using checksum for source file search\n")
	}
	f := s.symbolsOf(ctx, m).PDB()
	if f == nil {
		return places.Find(name)
	}
	file, err := places.Locate(ctx, f, name)
	if s.symbols.srcNoisy&serverNoise != 0 && file.From != "" {
		s.notef("%s: from %s", name, file.From)
	}
	return file, err
}

// traceSource tells a step of the search for a file.
func (s *Session) traceSource(step source.Step) {
	switch {
	case step.Path == "":
		s.printf("DBGENG:  Scan all paths for:\nDBGENG:    '%s'\n", visible(step.Name))
	default:
		s.printf("DBGENG:      check '%s'\n", visible(step.Path))
		if step.Found {
			s.printf("DBGENG:      found file '%s'\n", visible(step.Path))
		}
	}
}

// openSource makes a file the current one.
func (s *Session) openSource(file source.File) error {
	lines, err := file.Lines()
	if err != nil {
		return err
	}
	st := &s.source
	st.file, st.lines, st.next = &file, lines, 1
	st.loaded = append(slices.DeleteFunc(st.loaded, func(name string) bool { return name == file.Name }), file.Name)
	return nil
}

// sourceOf makes the file of a place's line the current one.
func (s *Session) sourceOf(ctx context.Context, p windows.Place) bool {
	if p.File == "" || !s.settings.lines {
		return false
	}
	file, err := s.findSource(ctx, p.Module, p.File)
	if err == nil {
		err = s.openSource(file)
	}
	if err != nil && ctx.Err() == nil {
		s.noteSource(ctx, p, err)
	}
	return err == nil
}

// noteSource tells why a source file is not shown, and where it can be had.
func (s *Session) noteSource(ctx context.Context, p windows.Place, err error) {
	if !errors.Is(err, source.ErrNotFound) {
		s.notef("%v", err)
		return
	}
	if f := s.symbolsOf(ctx, p.Module).PDB(); f != nil {
		if e, ok := s.target.Sources.Origin(f, p.File); ok {
			s.notef("%s is not in the source path; %s", p.File, e.Tell())
			return
		}
	}
	s.notef("%s is not in the source path (.srcpath)", p.File)
}
