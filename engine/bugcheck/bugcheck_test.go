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
