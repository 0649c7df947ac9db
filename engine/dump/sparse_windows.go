package dump

import (
	"os"

	"golang.org/x/sys/windows"
)

// makeSparse asks the file system to keep holes as holes. Where it can't, the
// file only takes more room.
func makeSparse(f *os.File) {
	var n uint32
	windows.DeviceIoControl(windows.Handle(f.Fd()), windows.FSCTL_SET_SPARSE, nil, 0, nil, 0, &n, nil)
}
