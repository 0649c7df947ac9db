// Package list gives what a dump holds as values for programs: the kinds of
// "kdap list", which the engine's service hands out as well.
//
// The JSON names are an API: fields are added, never renamed. Addresses and
// masks are strings, "0x" and lower-case hexadecimal without leading zeros;
// counts, ids and sizes are numbers; times are RFC 3339 in UTC with seven
// digits. A value that does not exist is absent. A value that cannot be read is
// absent, and Unreadable says why under its name.
package list

import (
	"fmt"
	"strconv"
	"time"
)

// Schema is the version of the values' form.
const Schema = 1

// Hex is an address or mask.
type Hex uint64

// MarshalText spells the number as the API does.
func (h Hex) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *Hex) UnmarshalText(b []byte) error {
	v, err := strconv.ParseUint(string(b), 0, 64)
	*h = Hex(v)
	return err
}

func (h Hex) String() string { return fmt.Sprintf("%#x", uint64(h)) }

// Time is a time of the dump.
type Time time.Time

const timeLayout = "2006-01-02T15:04:05.0000000Z07:00"

// MarshalText spells the time with all digits a FILETIME has.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads RFC 3339.
func (t *Time) UnmarshalText(b []byte) error {
	v, err := time.Parse(time.RFC3339Nano, string(b))
	*t = Time(v)
	return err
}

func (t Time) String() string { return time.Time(t).UTC().Format(timeLayout) }

// Unreadable says why fields are absent, by their JSON names.
type Unreadable map[string]string

func (u *Unreadable) add(field string, err error) {
	if *u == nil {
		*u = Unreadable{}
	}
	(*u)[field] = err.Error()
}

// An Error says what ended an enumeration early.
type Error struct {
	Where string `json:"where"`
	Why   string `json:"why"`
}

// read keeps a value, or the reason why there is none. The result is a pointer
// so that zero values stay visible in JSON.
func read[T any](u *Unreadable, field string, v T, err error) *T {
	if err != nil {
		u.add(field, err)
		return nil
	}
	return &v
}

func readHex(u *Unreadable, field string, v uint64, err error) *Hex {
	return read(u, field, Hex(v), err)
}

// readText keeps a text; an empty one does not exist.
func readText(u *Unreadable, field, v string, err error) string {
	if err != nil {
		u.add(field, err)
	}
	return v
}

// readTime keeps a time; the zero time does not exist.
func readTime(u *Unreadable, field string, v time.Time, err error) *Time {
	if err != nil {
		u.add(field, err)
		return nil
	}
	if v.IsZero() {
		return nil
	}
	t := Time(v)
	return &t
}
