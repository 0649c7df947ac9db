package pdb

// Nearest returns the symbol that debuggers name an address by: the private or
// public one nearest at or below it in its section, the private one when both
// start there.
func (f *File) Nearest(rva uint32) (Symbol, bool) {
	pub, ok := f.NearestPublic(rva)
	if prv, found := f.NearestPrivate(rva); found && (!ok || prv.RVA >= pub.RVA) {
		return prv, true
	}
	return pub, ok
}

// NearestAnywhere is Nearest for an address in a section without symbols
// below it: debuggers show the last symbol before it in the file's order, or
// the first of all, with a displacement of -1.
func (f *File) NearestAnywhere(rva uint32) (Symbol, bool) {
	if s, ok := f.Nearest(rva); ok {
		return s, true
	}
	pub, ok := f.NearestPublicAnywhere(rva)
	if !ok {
		return f.NextPrivate(rva)
	}
	for _, prv := range f.PrivatesAt(pub.RVA) {
		return prv, true
	}
	return pub, true
}

// Next returns the first private or public symbol above an address.
func (f *File) Next(rva uint32) (Symbol, bool) {
	pub, ok := f.NextPublic(rva)
	if prv, found := f.NextPrivate(rva); found && (!ok || prv.RVA <= pub.RVA) {
		return prv, true
	}
	return pub, ok
}
