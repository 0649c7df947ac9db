package flow

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// code is a machine of one-byte instructions: + goes on, digits jump to that
// address, letters a to j branch to 0 to 9, r returns, anything else is none.
func code(text string) func(uint64) Step {
	return func(va uint64) Step {
		if va >= uint64(len(text)) {
			return Step{}
		}
		c := text[va]
		switch {
		case c == '+':
			return Step{OK: true, Size: 1, Next: true}
		case c == 'r':
			return Step{OK: true, Size: 1}
		case '0' <= c && c <= '9':
			return Step{OK: true, Size: 1, Targets: []uint64{uint64(c - '0')}}
		case 'a' <= c && c <= 'j':
			return Step{OK: true, Size: 1, Targets: []uint64{uint64(c - 'a')}, Next: true, Leader: true}
		}
		return Step{}
	}
}

func TestAnalyze(t *testing.T) {
	tests := []struct {
		name, text string
		blocks     [][]uint64
		incomplete bool
	}{
		{"line", "+++r+", [][]uint64{{0, 1, 2, 3}}, false},
		{"loop", "+++b+r", [][]uint64{{0}, {1, 2, 3}, {4, 5}}, false},
		{"jump over", "+4..+r", [][]uint64{{0, 1}, {4, 5}}, false},
		{"jump to the next", "1r", [][]uint64{{0}, {1}}, false},
		{"into nothing", "+e!", [][]uint64{{0, 1}}, true},
		{"no code", "!", nil, true},
		{"endless", "0", [][]uint64{{0}}, false},
	}
	for _, tt := range tests {
		res, err := Analyze(t.Context(), 0, 1000, code(tt.text))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(res.Blocks, tt.blocks, slices.Equal) || res.Incomplete != tt.incomplete {
			t.Errorf("%s: %v, incomplete %v", tt.name, res.Blocks, res.Incomplete)
		}
	}
}

func TestLimit(t *testing.T) {
	res, err := Analyze(t.Context(), 0, 100, func(uint64) Step { return Step{OK: true, Size: 1, Next: true} })
	if err != nil || res.Count != 100 || !res.Incomplete {
		t.Errorf("%d instructions, incomplete %v, %v", res.Count, res.Incomplete, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Analyze(ctx, 0, 100, code("r")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
