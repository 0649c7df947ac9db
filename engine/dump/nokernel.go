package dump

// NoKernel returns a File without a header's values, pages or secondary data:
// what a dump of a user process has of a kernel dump. Whoever asks it for parts
// of the kernel finds that they are not there.
func NoKernel(path string) *File {
	return &File{
		Header:  parseHeader(make([]byte, HeaderSize)),
		path:    path,
		present: func() uint64 { return 0 },
		window:  newWindow(nil),
	}
}
