package bugcheck

import "testing"

func TestLookup(t *testing.T) {
	tests := []struct {
		code uint32
		name string
	}{
		{0xe2, "MANUALLY_INITIATED_CRASH"},
		{0xd1, "DRIVER_IRQL_NOT_LESS_OR_EQUAL"},
		{0x1000007e, "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED_M"},
		{0x100000d1, "DRIVER_IRQL_NOT_LESS_OR_EQUAL"}, // a minidump's mark
		{0xdeadbeef, "0xDEADBEEF"},
	}
	for _, tt := range tests {
		if got := Name(tt.code); got != tt.name {
			t.Errorf("Name(%#x) = %s, want %s", tt.code, got, tt.name)
		}
	}
}

func TestTable(t *testing.T) {
	if n := len(table()); n < 400 {
		t.Errorf("only %d codes", n)
	}
	for code, c := range table() {
		if c.Name == "" || len(c.Params) > 4 {
			t.Errorf("%#x: name %q, %d parameters", code, c.Name, len(c.Params))
		}
	}
}

// TestDescriptions: every code has one, and every line of the table is of a code.
func TestDescriptions(t *testing.T) {
	for code, c := range table() {
		if c.Description == "" {
			t.Errorf("%#x has no description", code)
		}
	}
	for code := range lines("descriptions.txt", descriptionText) {
		if _, ok := table()[code]; !ok {
			t.Errorf("%#x is described and unknown", code)
		}
	}
}

func TestStatusName(t *testing.T) {
	if got := StatusName(0xc0000005); got != "STATUS_ACCESS_VIOLATION" {
		t.Errorf("c0000005 is %s", got)
	}
	if got := StatusName(0x12345678); got != "" {
		t.Errorf("12345678 is %s", got)
	}
}
