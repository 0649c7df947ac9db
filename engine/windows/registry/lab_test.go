package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"kdap/engine"
	"kdap/engine/memory"
	"kdap/internal/truth"
)

// labRegistry is the registry that the dump's independent writer laid down.
type labRegistry struct {
	Hives []struct {
		Addr, Path, File, FileName string
		Minor                      uint64
		StableLength               uint32 `json:"stable_length"`
		StableMap                  string `json:"stable_map"`
		VolatileLength             uint32 `json:"volatile_length"`
		VolatileMap                string `json:"volatile_map"`
		BaseBlock                  string `json:"base_block"`
		RootCell                   string `json:"root_cell"`
		Bins                       [2]int
		Keys                       int
	}
	Keys map[string]labKey
	KCBs map[string][]struct {
		Bucket, Level, SubKeys, Refs         uint64
		Hash, KCB, Cell, Flags, Path, Parent string
		Bodies                               []string
	}
	Holes struct {
		Missing []struct {
			VA   string
			Keys []string
		}
	}
}

type labKey struct {
	Hive, Cell, Node string
	Volatile         bool
	SubKeys          [][2]string
	VolatileSubKeys  [][2]string `json:"volatile_subkeys"`
	Class            *string
	Values           []struct {
		Name   string
		Type   any
		Length uint32
		VK     string
		DataVA *string `json:"data_va"`
		Data   any
	}
	LastWrite uint64 `json:"last_write"`
}

func openLab(t testing.TB, name string) (*Registry, labRegistry) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(truth.Dir(t), "dumps", "lab19041.json"))
	if err != nil {
		t.Skip(err)
	}
	var want struct{ Registry labRegistry }
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	if err := d.Decode(&want); err != nil {
		t.Fatal(err)
	}
	target, err := engine.Open(t.Context(), truth.Dump(t, name), engine.Options{
		SymbolPath: truth.Path(t, "symbols"), CacheDir: filepath.Join(os.TempDir(), "kdap-test-cache"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	r, err := Open(t.Context(), target.System)
	if err != nil {
		t.Fatal(err)
	}
	return r, want.Registry
}

func hexText(v uint64) string { return fmt.Sprintf("%#x", v) }

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestLabHives(t *testing.T) {
	r, want := openLab(t, "lab19041")
	i := 0
	for h, err := range r.Hives() {
		if err != nil {
			t.Fatal(err)
		}
		w := want.Hives[i]
		i++
		equal(t, "address", hexText(h.Addr()), w.Addr)
		equal(t, "path", h.Path(), w.Path)
		file, err := h.File()
		equal(t, "file", file, w.File)
		name, nerr := h.FileName()
		equal(t, "file name", name, w.FileName)
		signature, serr := h.Signature()
		equal(t, "signature", signature, HiveSignature)
		base, berr := h.BaseBlock()
		equal(t, "base block", hexText(base), w.BaseBlock)
		root, rerr := h.RootCell()
		equal(t, "root cell", hexText(uint64(root)), w.RootCell)
		for _, err := range []error{err, nerr, serr, berr, rerr} {
			if err != nil {
				t.Error(err)
			}
		}
		for s, m := range []StorageMap{{w.StableLength, number(t, w.StableMap)}, {w.VolatileLength, number(t, w.VolatileMap)}} {
			got, err := h.Storage(Storage(s))
			if err != nil || got != m {
				t.Errorf("storage %d: %v, %v, want %v", s, got, err, m)
			}
		}
	}
	equal(t, "hives", i, len(want.Hives))
}

func number(t testing.TB, text string) uint64 {
	v, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestLabKeys walks the whole registry from \REGISTRY, through the master
// hive's exits, and compares every key and value. One page with keys is not in
// the dump, on purpose: those keys must come as damage, and nothing else may.
func TestLabKeys(t *testing.T) {
	for _, dump := range []string{"lab19041", "lab19041_t5"} {
		t.Run(dump, func(t *testing.T) {
			r, want := openLab(t, dump)
			missing := map[string]bool{}
			for _, m := range want.Holes.Missing {
				for _, k := range m.Keys {
					missing[k] = true
				}
			}
			w := labWalk{t: t, want: want.Keys, seen: map[string]bool{}}
			master, err := r.Master()
			if err != nil {
				t.Fatal(err)
			}
			root, err := master.Root()
			if err != nil {
				t.Fatal(err)
			}
			w.key(root, master.Path())
			for path := range want.Keys {
				if !w.seen[path] && !missing[path] && !under(missing, path) {
					t.Errorf("%s was not found", path)
				}
			}
			if dump == "lab19041" {
				equal(t, "keys in the missing page", w.damaged, len(missing))
			}
			t.Logf("%d keys of %d, %d values, %d damaged", len(w.seen), len(want.Keys), w.values, w.damaged)
		})
	}
}

// under reports whether a path lies below one of a set.
func under(set map[string]bool, path string) bool {
	for i := strings.LastIndexByte(path, '\\'); i > 0; i = strings.LastIndexByte(path[:i], '\\') {
		if set[path[:i]] {
			return true
		}
	}
	return false
}

type labWalk struct {
	t       *testing.T
	want    map[string]labKey
	seen    map[string]bool
	values  int
	damaged int
}

func (w *labWalk) key(k *Key, path string) {
	t := w.t
	want, ok := w.want[path]
	if !ok || w.seen[path] {
		t.Errorf("%s: not in the truth, or twice", path)
		return
	}
	w.seen[path] = true
	equal(t, path+" hive", hexText(k.Hive.Addr()), want.Hive)
	equal(t, path+" cell", hexText(uint64(k.Cell)), want.Cell)
	equal(t, path+" node", hexText(k.Addr), want.Node)
	equal(t, path+" volatile", k.Cell.Storage() == Volatile, want.Volatile)
	if k.LastWrite.Unix() != int64(want.LastWrite/1e7)-11644473600 {
		t.Errorf("%s: written at %v, want %d", path, k.LastWrite, want.LastWrite)
	}
	class, err := k.Class()
	if err != nil || want.Class == nil && class != "" || want.Class != nil && class != *want.Class {
		t.Errorf("%s: class %q, %v", path, class, err)
	}
	if got, err := k.Path(); err != nil || got != path {
		t.Errorf("%s: path %s, %v", path, got, err)
	}
	w.valuesOf(k, path, want)
	for s, list := range [][][2]string{want.SubKeys, want.VolatileSubKeys} {
		i := 0
		for sub, err := range k.SubKeysIn(context.Background(), Storage(s)) {
			if i == len(list) {
				t.Errorf("%s: more than %d sub keys", path, i)
				break
			}
			name, node := list[i][0], list[i][1]
			i++
			if err != nil {
				w.damaged++
				continue
			}
			equal(t, path+" sub key", sub.Name, name)
			equal(t, path+" sub key node", hexText(sub.Addr), node)
			if sub.Flags&KeyHiveExit != 0 {
				if sub, err = sub.Exit(); err != nil {
					t.Errorf("%s\\%s: %v", path, name, err)
					continue
				}
			}
			w.key(sub, path+`\`+name)
		}
		equal(t, path+" sub keys", i, len(list))
	}
}

func (w *labWalk) valuesOf(k *Key, path string, want labKey) {
	t := w.t
	i := 0
	for v, err := range k.Values(context.Background()) {
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if i == len(want.Values) {
			t.Errorf("%s: more than %d values", path, i)
			break
		}
		x := want.Values[i]
		i++
		w.values++
		what := path + " " + x.Name
		equal(t, what, v.Name, x.Name)
		equal(t, what+" length", v.Length, x.Length)
		equal(t, what+" address", hexText(v.Addr), x.VK)
		typ := v.Type.Name()
		if typ == "" {
			typ = fmt.Sprint(uint32(v.Type))
		}
		equal(t, what+" type", typ, fmt.Sprint(x.Type))
		b, err := v.Data()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if x.DataVA != nil {
			at, err := v.DataAddr()
			if err != nil || hexText(at) != *x.DataVA {
				t.Errorf("%s: data at %#x, %v, want %s", what, at, err, *x.DataVA)
			}
		}
		compareData(t, what, v, b, x.Data)
	}
	equal(t, path+" values", i, len(want.Values))
}

func compareData(t *testing.T, what string, v *Value, b []byte, want any) {
	var got any = hex.EncodeToString(b)
	if n, ok := Number(v.Type, b); ok {
		got = json.Number(strconv.FormatUint(n, 10))
	}
	switch want := want.(type) {
	case map[string]any:
		equal(t, what+" bytes", fmt.Sprint(len(b)), fmt.Sprint(want["bytes"]))
		sum := sha256.Sum256(b)
		equal(t, what+" sha256", hex.EncodeToString(sum[:]), want["sha256"].(string))
	case []any:
		equal(t, what, fmt.Sprint(Texts(b)), fmt.Sprint(want))
	default:
		switch v.Type {
		case String, ExpandString, Link:
			got = Text(b)
		}
		equal(t, what, got, want)
	}
}

func TestLabOpenKeys(t *testing.T) {
	r, want := openLab(t, "lab19041")
	for h, err := range r.Hives() {
		if err != nil {
			t.Fatal(err)
		}
		list := want.KCBs[fmt.Sprintf("%x", h.Addr())]
		i := 0
		table, err := r.Table(h)
		if err != nil {
			t.Fatal(err)
		}
		for b, err := range r.OpenKeys(t.Context(), h) {
			if err != nil || i == len(list) {
				t.Fatalf("hive %#x: %d open keys, %v", h.Addr(), i, err)
			}
			x := list[i]
			i++
			hash, herr := b.Hash()
			equal(t, "hash", hexText(uint64(hash)), x.Hash)
			equal(t, "bucket", b.Bucket, x.Bucket)
			equal(t, "address", hexText(b.Addr()), x.KCB)
			cell, cerr := b.Cell()
			equal(t, "cell", hexText(uint64(cell)), x.Cell)
			flags, ferr := b.FlagWord()
			equal(t, "flags", hexText(uint64(flags)), x.Flags)
			path, perr := b.Path()
			if !strings.EqualFold(path, x.Path) {
				t.Errorf("path %s, want %s", path, x.Path)
			}
			for _, err := range []error{herr, cerr, ferr, perr} {
				if err != nil {
					t.Error(err)
				}
			}
			if of, below := r.hiveOf(path); of == h {
				equal(t, path+" hash", PathHash(below), hash)
				equal(t, path+" index", HashIndex(hash, table.Size), b.Bucket)
			}
			if flags&(KeyHiveExit<<16) == 0 {
				found, err := r.FindControlBlock(t.Context(), strings.ToLower(path))
				if err != nil || found.Addr() != b.Addr() {
					t.Errorf("%s: found %#x, %v", path, found.Addr(), err)
				}
			}
		}
		equal(t, "open keys", i, len(list))
	}
}

func TestLabLookup(t *testing.T) {
	r, want := openLab(t, "lab19041")
	for path, target := range map[string]string{
		`HKLM\SOFTWARE\Aldermoor\Edge cases\测试 键`:            `\REGISTRY\MACHINE\SOFTWARE\Aldermoor\Edge cases\测试 键`,
		`\registry\machine\system\currentcontrolset\CONTROL`: `\REGISTRY\MACHINE\SYSTEM\ControlSet001\Control`,
		`\REGISTRY\MACHINE\SYSTEM\CurrentControlSet`:         `\REGISTRY\MACHINE\SYSTEM\CurrentControlSet`,
		`\REGISTRY`: `\REGISTRY`,
	} {
		k, err := r.Lookup(t.Context(), path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		equal(t, path, hexText(k.Addr), want.Keys[target].Node)
	}
	if k, err := r.Lookup(t.Context(), `\REGISTRY\MACHINE\SOFTWARE\nothing`); err == nil {
		t.Errorf("found %v", k)
	}
}

// TestLabBins counts the bins that are in the dump, and checks that cells fill
// them. The hive SOFTWARE is longer than the bins that were laid down.
func TestLabBins(t *testing.T) {
	r, want := openLab(t, "lab19041")
	i := 0
	for h, err := range r.Hives() {
		if err != nil {
			t.Fatal(err)
		}
		for s, n := range want.Hives[i].Bins {
			got := 0
			for bin, err := range h.Bins(t.Context(), Storage(s)) {
				if err != nil {
					if strings.Contains(err.Error(), "at "+want.Holes.Missing[0].VA+":") {
						got++
					}
					continue
				}
				got++
				end := uint64(binHeader)
				for c, err := range r.Cells(t.Context(), bin) {
					if err == nil {
						end = c.Addr - bin.Addr + uint64(c.Size)
					}
				}
				equal(t, "end of cells", end, uint64(bin.Size))
			}
			equal(t, fmt.Sprintf("bins of %#x storage %d", h.Addr(), s), got, n)
		}
		i++
	}
}

// noise is memory with wrong bytes here and there.
type noise struct {
	memory.Space
	seed uint64
}

func (n noise) Read(va uint64, p []byte) (int, error) {
	got, err := n.Space.Read(va, p)
	for i := range got {
		h := (va + uint64(i) + n.seed) * 0x9e3779b97f4a7c15
		if h>>32%61 == 0 {
			p[i] ^= byte(h >> 24)
		}
	}
	return got, err
}

// TestDamagedCells walks the registry with wrong bytes in the cells: every
// walk ends, and all that is wrong comes with its place.
func TestDamagedCells(t *testing.T) {
	r, _ := openLab(t, "lab19041")
	clean := r.space
	for seed := range uint64(20) {
		r.space = noise{clean, seed}
		seen := map[string]bool{}
		var walk func(k *Key, depth int)
		check := func(err error) {
			var damage *Damage
			if err != nil && !errors.As(err, &damage) {
				t.Errorf("%v: no place", err)
			}
		}
		walk = func(k *Key, depth int) {
			at := fmt.Sprint(k.Hive.Addr(), k.Cell)
			if seen[at] || depth > maxDepth {
				return
			}
			seen[at] = true
			_, err := k.Class()
			check(err)
			_, err = k.Path()
			check(err)
			for v, err := range k.Values(t.Context()) {
				check(err)
				if err == nil {
					_, err = v.Data()
					check(err)
				}
			}
			for sub, err := range k.SubKeys(t.Context()) {
				check(err)
				if err == nil {
					walk(sub, depth+1)
				}
			}
		}
		for h := range r.Hives() {
			if h == nil {
				continue
			}
			if k, err := h.Root(); err == nil {
				walk(k, 0)
			}
		}
		if seed == 0 && len(seen) < 2 {
			t.Errorf("only %d keys", len(seen))
		}
	}
}
