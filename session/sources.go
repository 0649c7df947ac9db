package session

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"kdap/engine/rpc"
	"kdap/engine/source"
	"kdap/engine/symbols"
)

// sources finds the files here that symbols name by the paths of the machine
// they were built on, and knows which the engine may fetch.
type sources struct {
	path   string // of the engine's console that this follows
	remote bool
	places source.Places

	mu     sync.Mutex
	known  map[string]string // path in the symbols → path here, "" for none
	failed map[string]string // files that could not be fetched, and why
}

// newSources looks in the folders of path; those of an engine on another
// computer mean nothing here.
func (o *Options) newSources(path string) *sources {
	var maps []source.Mapping
	for from, to := range o.SourceMap {
		maps = append(maps, source.Mapping{From: from, To: to})
	}
	p := source.NewPath(symbols.ParsePath(path))
	if o.Engine != "" {
		p.Folders = source.NewPath(symbols.SourcePath(o.SourcePath)).Folders
	}
	return &sources{
		path: path, remote: p.Remote, places: source.NewPlaces(maps, p, nil),
		known: map[string]string{}, failed: map[string]string{},
	}
}

// sourceSettings tell the engine's console what the client said. Folders of
// this computer mean nothing to an engine on another one.
func (o *Options) sourceSettings() rpc.NewSessionParams {
	if o.Engine == "" {
		return rpc.NewSessionParams{SourcePath: o.SourcePath, SourceMap: o.SourceMap}
	}
	if source.NewPath(symbols.ParsePath(o.SourcePath)).Remote {
		return rpc.NewSessionParams{SourcePath: "srv*"}
	}
	return rpc.NewSessionParams{}
}

// maxKnown bounds what is remembered of files.
const maxKnown = 1 << 16

// find returns the file here, when it exists.
func (s *sources) find(path string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	here, ok := s.known[path]
	if !ok {
		here = s.look(path)
		if len(s.known) < maxKnown {
			s.known[path] = here
		}
	}
	return here, here != ""
}

func (s *sources) look(path string) string {
	if file, err := s.places.Find(path); err == nil {
		return file.Disk()
	}
	if filepath.IsAbs(path) && isFile(path) {
		return path // built on this machine
	}
	return ""
}

func isFile(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.Mode().IsRegular()
}

// fetchable reports whether the text of a frame's file can be asked for; why
// tells what is in the way, "" when nothing is known.
func (s *sources) fetchable(f rpc.Frame) (ok bool, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch why = s.failed[f.Source]; {
	case f.SourceFrom == "":
		return false, ""
	case why != "":
		return false, why
	case !s.remote:
		return false, `it is at ` + f.SourceFrom + `, fetched with "srv*" in sourcePath`
	}
	return true, ""
}

func (s *sources) fail(file string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.failed) < maxKnown {
		s.failed[file] = err.Error()
	}
}

func baseName(p string) string { return p[strings.LastIndexAny(p, `/\`)+1:] }

// A SourceError says why the text of a source file cannot be shown. The frames
// in it show their code from now on.
type SourceError struct {
	File string
	Err  error
}

func (e *SourceError) Error() string { return fmt.Sprintf("%s: %v", e.File, e.Err) }

func (e *SourceError) Unwrap() error { return e.Err }

// fileText asks the engine for a source file.
func (s *Session) fileText(ctx context.Context, k textKey) (string, error) {
	r, err := s.engine.client.SourceFile(ctx, rpc.SourceFileParams{
		PlaceParams: rpc.PlaceParams{Process: k.process, Address: k.ip}, Session: s.console, File: k.file,
	})
	if err == nil {
		return r.Text, nil
	}
	err = s.engine.explain(err)
	if ctx.Err() != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sources.fail(k.file, err)
	clear(s.stacks)
	return "", &SourceError{k.file, err}
}
