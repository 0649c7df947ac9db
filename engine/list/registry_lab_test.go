package list

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kdap/engine/windows"
	"kdap/internal/truth"
)

// registryTruth is the part of lab19041.json about the registry.
type registryTruth struct {
	Registry struct {
		Hives []struct {
			Addr, Path, File, FileName string
			StableLength               uint32 `json:"stable_length"`
			VolatileLength             uint32 `json:"volatile_length"`
			BaseBlock                  string `json:"base_block"`
		}
		Keys map[string]struct {
			Hive, Cell      string
			SubKeys         [][2]string
			VolatileSubKeys [][2]string `json:"volatile_subkeys"`
			Class           *string
			LastWrite       uint64 `json:"last_write"`
			Values          []struct {
				Name       string
				Type, Data any
			}
		}
		Holes struct{ Missing []struct{ Keys []string } }
	}
}

// TestLabRegistry compares the hives and every key of the lab with what the
// dump's independent writer laid down.
func TestLabRegistry(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(truth.Dir(t), "dumps", "lab19041.json"))
	if err != nil {
		t.Skip(err)
	}
	var want registryTruth
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(truth.Dir(t), "symbols")
	for name, path := range map[string]string{"pdb": store, "isf": isfPath(t, store)} {
		t.Run(name, func(t *testing.T) { compareRegistry(t, openLab(t, "lab19041.dmp", path), want) })
	}
}

func compareRegistry(t *testing.T, sys *windows.System, want registryTruth) {
	reg := want.Registry
	hives := collect(t, Hives(t.Context(), sys, Filter{}), nil)
	equal(t, "hives", len(hives), len(reg.Hives))
	for i, g := range hives[:min(len(hives), len(reg.Hives))] {
		w := reg.Hives[i]
		equal(t, "hive", g.Hive.String(), w.Addr)
		equal(t, w.Addr+" name", g.Name, w.Path)
		equal(t, w.Addr+" file", g.File, w.File)
		equal(t, w.Addr+" file name", g.FileName, w.FileName)
		equal(t, w.Addr+" base block", hex(g.BaseBlock), w.BaseBlock)
		equal(t, w.Addr+" signature", hex(g.Signature), "0xbee0bee0")
		equal(t, w.Addr+" stable", deref(g.Storage.Stable), w.StableLength)
		equal(t, w.Addr+" volatile", deref(g.Storage.Volatile), w.VolatileLength)
	}
	missing := reg.Holes.Missing[0].Keys
	for path, w := range reg.Keys {
		// Every key below the one with 1,100 sub keys costs a search of them.
		if slices.Contains(missing, path) || strings.HasPrefix(path, `\REGISTRY\MACHINE\SOFTWARE\Classes\.`) && !strings.HasPrefix(path, `\REGISTRY\MACHINE\SOFTWARE\Classes\.b`) {
			continue
		}
		var got Key
		for k, err := range Keys(t.Context(), sys, Filter{Key: path}) {
			if err == nil {
				got = k
			} else if path != `\REGISTRY\MACHINE\SOFTWARE\Classes` {
				t.Errorf("%s: %v", path, err)
			}
		}
		equal(t, "path", got.Path, path)
		equal(t, path+" hive", got.Hive.String(), w.Hive)
		equal(t, path+" cell", got.Cell.String(), w.Cell)
		if w.Class != nil {
			equal(t, path+" class", got.Class, *w.Class)
		}
		if got.LastWritten == nil || time.Time(*got.LastWritten).Unix() != int64(w.LastWrite/1e7)-11644473600 {
			t.Errorf("%s: last written %v", path, got.LastWritten)
		}
		var names []string
		for _, sub := range append(w.SubKeys, w.VolatileSubKeys...) {
			if !slices.Contains(missing, path+`\`+sub[0]) {
				names = append(names, sub[0])
			}
		}
		if !slices.Equal(names, got.SubKeys) && len(names)+len(got.SubKeys) > 0 {
			t.Errorf("%s: sub keys %v, want %v", path, got.SubKeys, names)
		}
		equal(t, path+" values", len(got.Values), len(w.Values))
		for i, g := range got.Values[:min(len(got.Values), len(w.Values))] {
			x := w.Values[i]
			if long, ok := x.Data.(map[string]any); ok { // only its length and sum are told
				equal(t, path+" bytes", float64(len(g.Data.(string))/2), long["bytes"].(float64))
				x.Data = g.Data
			}
			a, _ := json.Marshal([]any{g.Name, g.Type, g.Data})
			b, _ := json.Marshal([]any{x.Name, x.Type, x.Data})
			if x.Type != "REG_QWORD" { // its numbers lose digits on this way
				equal(t, path, string(a), string(b))
			}
		}
	}
}
