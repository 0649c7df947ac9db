package source

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"kdap/engine/pdb"
)

// Places are all where a source file is looked for: what folders of the build
// machine are here, the folders of a path, and where symbol files say.
type Places struct {
	Finder
	remote *Remote // nil: nothing is fetched
	cache  string
}

// NewPlaces returns the places of a path. Files are fetched by remote, which may
// be nil, if the path allows it.
func NewPlaces(maps []Mapping, p Path, remote *Remote) Places {
	// The mapping that says more of a name wins.
	maps = slices.Clone(maps)
	slices.SortFunc(maps, func(a, b Mapping) int {
		return cmp.Or(len(split(b.From))-len(split(a.From)), strings.Compare(a.From, b.From))
	})
	out := Places{Finder: Finder{Map: maps, Folders: p.Folders}, cache: p.Cache}
	if p.Remote {
		out.remote = remote
	}
	return out
}

// Locate finds the file that a symbol file names; what is not in the folders is
// fetched, if that is allowed.
func (p *Places) Locate(ctx context.Context, f *pdb.File, name string) (File, error) {
	file, err := p.Find(name)
	if err == nil || p.remote == nil || !errors.Is(err, ErrNotFound) {
		return file, err
	}
	fetched, ferr := p.remote.Fetch(ctx, f, name, p.cache)
	if errors.Is(ferr, ErrNoOrigin) {
		return file, err
	}
	return fetched, ferr
}

// Tell says where a file can be had, for a person.
func (e Extraction) Tell() string {
	switch u, err := e.address(); {
	case err == nil:
		return "the symbols say it is at " + u.String() + `: with "srv*" in the source path it is fetched`
	case e.Command != "":
		return "the symbols want a program run for it, which kdap never does: " + clip(e.Command)
	default:
		return "the symbols say it is at " + clip(e.Target)
	}
}
