package errortext

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Numbers and texts of Microsoft's documentation of error codes.
func TestText(t *testing.T) {
	for _, tt := range []struct {
		kind Kind
		code uint32
		want string
	}{
		{Win32, 0, "The operation completed successfully."},
		{Win32, 5, "Access is denied."},
		{Win32, 87, "The parameter is incorrect."},
		{NTStatus, 0xc0000034, "Object Name not found."},
		{HResult, 0x80070005, "Access is denied."},
		{HResult, 0xd0000034, "Object Name not found."},
		{HResult, 0x80004005, "Unspecified error"},
	} {
		if got, ok := Text(tt.kind, tt.code); !ok || got != tt.want {
			t.Errorf("%s %x: %q, want %q", tt.kind, tt.code, got, tt.want)
		}
	}
	if text, ok := Text(Win32, 0x1234567); ok {
		t.Errorf("an unknown error has the text %q", text)
	}
}

func TestKindOf(t *testing.T) {
	for code, want := range map[uint32]Kind{5: Win32, 0x1234567: Win32, 0xc0000005: NTStatus, 0x80000003: NTStatus, 0x80070005: HResult, 0x80004005: HResult, 0xe06d7363: NTStatus} {
		if got := KindOf(code); got != want {
			t.Errorf("%x is %s, want %s", code, got, want)
		}
	}
}

// TestTables: every line has a number and a text, in order and once.
func TestTables(t *testing.T) {
	for _, table := range []struct {
		lines string
		base  int
	}{{win32Lines, 10}, {statusLines, 16}} {
		var codes []uint64
		for line := range strings.Lines(table.lines) {
			number, text, ok := strings.Cut(strings.TrimRight(line, "\n"), " ")
			code, err := strconv.ParseUint(number, table.base, 32)
			if !ok || err != nil || text != strings.TrimSpace(text) || text == "" {
				t.Errorf("line %q", line)
			}
			codes = append(codes, code)
		}
		if sorted := slices.Sorted(slices.Values(codes)); !slices.Equal(slices.Compact(sorted), codes) {
			t.Errorf("not sorted, or a number twice")
		}
	}
}
