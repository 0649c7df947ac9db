package source

import "kdap/engine/pdb"

// Origins are what a symbol file says of where its source files can be had.
type Origins struct {
	link   *Link
	server *Server
}

// OriginsOf reads the streams of a PDB. A damaged stream counts as none: it is
// only a convenience.
func OriginsOf(f *pdb.File) *Origins {
	o := &Origins{}
	if f == nil {
		return o
	}
	if b, err := f.NamedStream("sourcelink"); err == nil {
		o.link, _ = ParseLink(b)
	}
	if b, err := f.NamedStream("srcsrv"); err == nil {
		o.server, _ = ParseServer(b)
	}
	return o
}

// Find returns where a source file can be had: an address, or the command
// that a version control system would need.
func (o *Origins) Find(file string) (Extraction, bool) {
	if o.link != nil {
		if url, ok := o.link.URL(file); ok {
			return Extraction{Target: url}, true
		}
	}
	if o.server != nil {
		return o.server.Find(file)
	}
	return Extraction{}, false
}
