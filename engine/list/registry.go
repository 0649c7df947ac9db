package list

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"kdap/engine/windows"
	"kdap/engine/windows/registry"
)

// A Hive is an entry of the kind "hives".
type Hive struct {
	Hive      Hex         `json:"hive"`           // the _CMHIVE
	Name      string      `json:"name,omitempty"` // where it is mounted: \REGISTRY\MACHINE\SOFTWARE
	File      string      `json:"file,omitempty"` // path of the hive file
	Signature *Hex        `json:"signature,omitempty"`
	Storage   HiveStorage `json:"storage"`
	BaseBlock *Hex        `json:"baseBlock,omitempty"` // the _HBASE_BLOCK
	FileName  string      `json:"fileName,omitempty"`  // as much of the file's path as the base block keeps

	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// HiveStorage is how many bytes the parts of a hive have.
type HiveStorage struct {
	Stable   *uint32 `json:"stable,omitempty"`   // bytes that are in the file, too
	Volatile *uint32 `json:"volatile,omitempty"` // bytes that are in memory only
}

// Hives yields the registry's hives.
func Hives(ctx context.Context, sys *windows.System, _ Filter) iter.Seq2[Hive, error] {
	return func(yield func(Hive, error) bool) {
		r, err := registry.Open(ctx, sys)
		if err != nil {
			yield(Hive{}, err)
			return
		}
		for h, err := range r.Hives() {
			var v Hive
			if err == nil {
				v = newHive(h)
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

func newHive(h *registry.Hive) Hive {
	v := Hive{Hive: Hex(h.Addr()), Name: h.Path()}
	u := &v.Unreadable
	file, err := h.File()
	v.File = readText(u, "file", file, err)
	signature, err := h.Signature()
	v.Signature = readHex(u, "signature", signature, err)
	stable, err := h.Storage(registry.Stable)
	v.Storage.Stable = read(u, "storage", stable.Length, err)
	volatile, err := h.Storage(registry.Volatile)
	v.Storage.Volatile = read(u, "storage", volatile.Length, err)
	base, err := h.BaseBlock()
	v.BaseBlock = readHex(u, "baseBlock", base, err)
	name, err := h.FileName()
	v.FileName = readText(u, "fileName", name, err)
	return v
}

// A Key is the entry of the kind "registry".
type Key struct {
	Path        string     `json:"path"`
	LastWritten *Time      `json:"lastWritten,omitempty"`
	Values      []KeyValue `json:"values"`
	SubKeys     []string   `json:"subkeys"`
	Class       string     `json:"class,omitempty"` // class name
	Hive        Hex        `json:"hive"`            // the _CMHIVE
	Cell        Hex        `json:"cell"`            // index in the hive

	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// A KeyValue is one value of a key. Type is a name, or a number that has none;
// Data a number (REG_DWORD, REG_QWORD), a text, a list of texts (REG_MULTI_SZ)
// or the bytes in hexadecimal.
type KeyValue struct {
	Name string `json:"name"`           // "" for the default value
	Type any    `json:"type"`           // "REG_SZ" ..., or a number that has no name
	Data any    `json:"data,omitempty"` // number, text, list of texts, or the bytes in hexadecimal

	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// Keys yields the key that the filter names. Values and sub keys that cannot be
// read come as errors after it.
func Keys(ctx context.Context, sys *windows.System, f Filter) iter.Seq2[Key, error] {
	return func(yield func(Key, error) bool) {
		if f.Key == "" {
			yield(Key{}, errors.New(`which key? --key \REGISTRY\MACHINE\SOFTWARE`))
			return
		}
		r, err := registry.Open(ctx, sys)
		if err != nil {
			yield(Key{}, err)
			return
		}
		k, err := r.Lookup(ctx, f.Key)
		if err != nil {
			yield(Key{}, err)
			return
		}
		v, errs := newKey(ctx, k)
		if !yield(v, nil) {
			return
		}
		for _, err := range errs {
			if !yield(Key{}, err) {
				return
			}
		}
	}
}

func newKey(ctx context.Context, k *registry.Key) (v Key, errs []error) {
	v = Key{Values: []KeyValue{}, SubKeys: []string{}, Hive: Hex(k.Hive.Addr()), Cell: Hex(k.Cell)}
	u := &v.Unreadable
	path, err := k.Path()
	v.Path = path
	if err != nil {
		u.add("path", err)
	}
	v.LastWritten = readTime(u, "lastWritten", k.LastWrite, nil)
	class, err := k.Class()
	v.Class = readText(u, "class", class, err)
	gaps := 0
	for value, err := range k.Values(ctx) {
		if err != nil {
			u.add("values", gap(&gaps, err))
			errs = append(errs, err)
			continue
		}
		v.Values = append(v.Values, newKeyValue(value))
	}
	gaps = 0
	for sub, err := range k.SubKeys(ctx) {
		if err != nil {
			u.add("subkeys", gap(&gaps, err))
			errs = append(errs, err)
			continue
		}
		v.SubKeys = append(v.SubKeys, sub.Name)
	}
	return v, errs
}

// gap counts what could not be read and tells of it with the last reason.
func gap(n *int, err error) error {
	if *n++; *n == 1 {
		return err
	}
	return fmt.Errorf("%d of them, the last: %w", *n, err)
}

func newKeyValue(value *registry.Value) KeyValue {
	v := KeyValue{Name: value.Name, Type: value.Type.Name()}
	if v.Type == "" {
		v.Type = uint32(value.Type)
	}
	b, err := value.Data()
	if err != nil {
		v.Unreadable.add("data", err)
		return v
	}
	v.Data = valueData(value.Type, b)
	return v
}

// valueData gives the data the form that its type says, and the bytes where
// they do not fit the type.
func valueData(t registry.ValueType, b []byte) any {
	if n, ok := registry.Number(t, b); ok {
		return n
	}
	switch t {
	case registry.String, registry.ExpandString, registry.Link:
		return registry.Text(b)
	case registry.MultiString:
		if all := registry.Texts(b); all != nil {
			return all
		}
		return []string{}
	}
	return fmt.Sprintf("%x", b)
}
