package rpc

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/source"
	"kdap/engine/windows"
)

// lookForSources says where a new session looks for source files.
func (s *session) lookForSources(p NewSessionParams) {
	if p.SourcePath != "" {
		s.console.SetSourcePath(p.SourcePath)
	}
	var maps []source.Mapping
	for from, to := range p.SourceMap {
		maps = append(maps, source.Mapping{From: from, To: to})
	}
	s.console.SetSourceMap(maps)
}

// sourceFrom returns the address that a module's symbols have for a source file.
func (t *target) sourceFrom(ctx context.Context, m *windows.Module, file string) string {
	if file == "" {
		return ""
	}
	f := m.Symbols(ctx).PDB()
	if f == nil {
		return ""
	}
	e, _ := t.Sources.Origin(f, file)
	if url, ok := e.URL(); ok {
		return url
	}
	return ""
}

// maxSource bounds the text that is sent.
const maxSource = 8 << 20

// onSourceFile runs beside the session's commands: a file is shown while one runs.
func onSourceFile(c *client, ctx context.Context, t *target, p SourceFileParams) (any, error) {
	s := c.session(p.Session)
	if s == nil {
		return nil, errNoSession(p.Session)
	}
	sp, err := t.space(ctx, p.Process)
	if err != nil {
		return nil, err
	}
	m := sp.modules.Find(uint64(p.Address))
	if m == nil {
		return nil, fmt.Errorf("no module at %v", p.Address)
	}
	f := m.Symbols(ctx).PDB()
	if f == nil {
		return nil, fmt.Errorf("%s has no symbols that name source files", m.Name)
	}
	if _, ok := f.FindSource(p.File); !ok {
		return nil, fmt.Errorf("the symbols of %s name no file %s", m.Name, p.File)
	}
	places := s.console.SourcePlaces(t.Sources)
	file, err := places.Locate(ctx, f, p.File)
	if err != nil {
		return nil, err
	}
	b, err := file.Bytes()
	if err != nil {
		return nil, err
	}
	if len(b) > maxSource {
		return nil, fmt.Errorf("%s has %d bytes: at most %d are shown", p.File, len(b), maxSource)
	}
	return SourceFileResult{Text: strings.ToValidUTF8(string(b), "\ufffd"), Path: file.Path, From: file.From}, nil
}
