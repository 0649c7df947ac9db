package source

import (
	"strings"

	"kdap/engine/symbols"
)

// A Path is a source path: folders, and with an element "srv*" the leave to
// fetch files from where symbol files say that they are.
type Path struct {
	Folders []Folder
	Remote  bool
	Cache   string // where fetched files are kept: "srv*FOLDER"; "" for the usual place
}

// NewPath takes a search path for a source path.
func NewPath(p symbols.Path) Path {
	var out Path
	for _, e := range p {
		switch e.Kind {
		case symbols.Folder:
			out.Folders = append(out.Folders, Folder{Path: e.Stores[0], Shown: e.Text})
		case symbols.Server:
			if word, _, starred := strings.Cut(e.Text, "*"); !starred || strings.Contains(word, ":") {
				continue // an address: what is there is not said
			}
			out.Remote = true
			if s := e.Stores[0]; out.Cache == "" && !strings.Contains(s, "://") {
				out.Cache = s
			}
		}
	}
	return out
}
