package windows

import (
	"strings"
	"time"

	"kdap/engine/types"
)

// epochDelta is the time from 1601, where FILETIME counts from, to 1970, in
// units of 100 ns.
const epochDelta = 116444736000000000

// FileTime converts a FILETIME, 100 ns units since 1601 in UTC; 0 gives the zero time.
func FileTime(v uint64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	d := int64(v) - epochDelta
	return time.Unix(d/1e7, d%1e7*100).UTC()
}

func fileTime(o types.Object) (time.Time, error) {
	v, err := o.Uint()
	return FileTime(v), err
}

// baseName returns what follows the last backslash or slash.
func baseName(path string) string {
	return path[strings.LastIndexAny(path, `\/`)+1:]
}
