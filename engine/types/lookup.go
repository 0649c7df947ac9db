package types

import (
	"strings"
	"sync/atomic"
)

// A Lookup is a question for a member: the type has one of the names, or the
// code that asks does without.
type Lookup struct {
	Type  *Type
	Names []string // alternatives, the first parts of paths
	Maybe bool     // it was asked whether there is such a member
}

var observer atomic.Pointer[func(Lookup)]

// ObserveLookups has every question of objects for members told to f, until
// stop is called. It is for tests that compare with the members of builds no
// dump is at hand of.
func ObserveLookups(f func(Lookup)) (stop func()) {
	observer.Store(&f)
	return func() { observer.Store(nil) }
}

func (o Object) observe(maybe bool, paths ...string) {
	f := observer.Load()
	if f == nil || o.Err() != nil || !o.typ.Kind.IsAggregate() {
		return
	}
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i], _, _ = strings.Cut(p, ".")
	}
	(*f)(Lookup{o.typ, names, maybe})
}
