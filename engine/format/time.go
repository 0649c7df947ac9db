package format

import (
	"fmt"
	"time"
)

// fileTimeEpoch is the distance from FILETIME's origin, 1 January 1601, to
// Unix's, in seconds.
const fileTimeEpoch = 11644473600

// maxFileTime is the last FILETIME that converts to a calendar date: the end
// of the year 30827, the last one a SYSTEMTIME can hold.
const maxFileTime = 0x7fff35f4f06c58f0

// FileTime converts a FILETIME, 100 ns units since 1601, to a time in UTC.
func FileTime(ft uint64) time.Time {
	sec := int64(ft/10_000_000) - fileTimeEpoch
	return time.Unix(sec, int64(ft%10_000_000)*100).UTC()
}

// ValidFileTime reports whether ft can be shown as a date: it is not negative
// and not after the year 30827.
func ValidFileTime(ft uint64) bool { return ft < maxFileTime }

// SessionTime writes a FILETIME as in "Debug session time", moved by an offset
// from UTC: Tue May 17 09:41:27.318 2022 (UTC + 0:00). Milliseconds are cut.
func SessionTime(ft uint64, offset time.Duration) string {
	t := FileTime(ft).Add(offset)
	sign := '+'
	if offset < 0 {
		sign, offset = '-', -offset
	}
	return fmt.Sprintf("%s %s %2d %02d:%02d:%02d.%03d %d (UTC %c %d:%02d)",
		t.Weekday().String()[:3], t.Month().String()[:3], t.Day(), t.Hour(), t.Minute(), t.Second(),
		t.Nanosecond()/1e6, t.Year(), sign, int(offset/time.Hour), int(offset/time.Minute)%60)
}

// CTime writes seconds since 1970 in UTC as C's ctime does, without its line
// end: Mon Jan  7 23:31:46 1985.
func CTime(sec int64) string {
	return time.Unix(sec, 0).UTC().Format("Mon Jan _2 15:04:05 2006")
}

// Uptime writes a length of time in 100 ns units: 0 days 1:28:41.796.
func Uptime(units uint64) string {
	ms := units / 10_000
	return fmt.Sprintf("%d days %d:%02d:%02d.%03d",
		ms/86_400_000, ms/3_600_000%24, ms/60_000%60, ms/1000%60, ms%1000)
}
