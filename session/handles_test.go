package session

import "testing"

// TestRecentValues: a value in use keeps its handle, however many others are
// shown; one that is not used for long is forgotten, and its handle with it.
func TestRecentValues(t *testing.T) {
	h, s := NewHandles(), &Session{}
	key := func(i int) valueKey { return valueKey{s, uint64(i)} }
	used, shown, left := h.value(key(0)), h.value(key(1)), h.value(key(2))
	for i := range 3 * maxRecent {
		h.value(key(10 + i))
		if i%1000 != 0 {
			continue
		}
		if ref, ok := h.valueOf(s, used); !ok || ref != 0 {
			t.Fatalf("after %d others a value in use is %d, %v", i, ref, ok)
		}
		if again := h.value(key(1)); again != shown {
			t.Fatalf("after %d others a value has handle %d, had %d", i, again, shown)
		}
	}
	if n := len(h.values.young.of) + len(h.values.old.of); n > 2*maxRecent {
		t.Errorf("%d handles are kept", n)
	}
	if _, ok := h.valueOf(s, left); ok {
		t.Error("a value that was not used is still known")
	}
	if again := h.value(key(2)); again == left || again < shown {
		t.Errorf("a forgotten value is %d again", again)
	}
	h.drop(s)
	if _, ok := h.valueOf(s, used); ok {
		t.Error("a value of a session that ended is known")
	}
}
