package dump

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/edsrzf/mmap-go"

	"kdap/engine/memory"
)

// A StreamType is the number of a stream in a user minidump, from the public
// MINIDUMP_STREAM_TYPE.
type StreamType uint32

// The streams that are read here.
const (
	ThreadListStream         StreamType = 3
	ModuleListStream         StreamType = 4
	MemoryListStream         StreamType = 5
	ExceptionStream          StreamType = 6
	SystemInfoStream         StreamType = 7
	Memory64ListStream       StreamType = 9
	HandleDataStream         StreamType = 12
	UnloadedModuleListStream StreamType = 14
	MiscInfoStream           StreamType = 15
	MemoryInfoListStream     StreamType = 16
	ThreadInfoListStream     StreamType = 17
	ThreadNamesStream        StreamType = 24
)

var streamNames = [...]string{
	0: "UnusedStream", 1: "ReservedStream0", 2: "ReservedStream1", 3: "ThreadListStream", 4: "ModuleListStream",
	5: "MemoryListStream", 6: "ExceptionStream", 7: "SystemInfoStream", 8: "ThreadExListStream", 9: "Memory64ListStream",
	10: "CommentStreamA", 11: "CommentStreamW", 12: "HandleDataStream", 13: "FunctionTableStream",
	14: "UnloadedModuleListStream", 15: "MiscInfoStream", 16: "MemoryInfoListStream", 17: "ThreadInfoListStream",
	18: "HandleOperationListStream", 19: "TokenInformationStream", 20: "JavaScriptDataStream",
	21: "SystemMemoryInfoStream", 22: "ProcessVmCountersStream", 23: "IptTraceStream", 24: "ThreadNamesStream",
}

func (s StreamType) String() string {
	if int64(s) < int64(len(streamNames)) {
		return streamNames[s]
	}
	return fmt.Sprintf("stream type %d", uint32(s))
}

// A Stream is an entry of a user minidump's directory.
type Stream struct {
	Type StreamType
	Size uint32 // a claim; Data has what is there
	RVA  uint32
	Data []byte
}

// A UserFile is an open user minidump: one process, without the kernel. What a
// damaged file still holds can be read; Warnings says what is missing. It is
// safe for concurrent use until Close.
type UserFile struct {
	Version, CheckSum, TimeDateStamp uint32
	Flags                            uint64
	Streams                          []Stream // in the file's order, unused ones included

	System    *UserSystem // nil when the dump has none, as all others
	Misc      *UserMisc
	Exception *UserException
	Threads   []UserThread
	Modules   []UserModule
	Unloaded  []UserModule // Name and the first fields only
	Handles   []UserHandle
	Regions   []UserRegion

	path, unpacked string
	data           mmap.MMap
	file           *os.File
	warnings       []Warning
	ranges         []UserRange
	threads        map[uint32]int // index in Threads, by ID
	strings        int            // bytes of strings that may still be read
	space          *memory.Blocks
}

// maxStreams bounds the directory.
const maxStreams = 4096

// OpenUser opens a user minidump, unpacking it first when it is a .zip or .zst
// file. Errors are those of Open.
func OpenUser(ctx context.Context, path string, opt Options) (*UserFile, error) {
	src, err := openSource(ctx, path, opt)
	if err != nil {
		return nil, err
	}
	if src.format != formatUser {
		e := refuse(path, src.format)
		if src.format == formatKernel64 {
			e = &OpenError{Path: path, Reason: NotADump, Msg: "a kernel dump, not a user minidump"}
		}
		src.close()
		return nil, e
	}
	u, err := newUserFile(path, src)
	if err != nil {
		src.close()
		return nil, err
	}
	return u, nil
}

func newUserFile(path string, src *source) (*UserFile, error) {
	u := &UserFile{path: path, unpacked: src.unpacked, data: src.data, file: src.file}
	d := newDecoder("MINIDUMP_HEADER", u.data, 0, 32)
	d.skip(4)
	u.Version = d.u32()
	n, dir := d.u32(), d.u32()
	u.CheckSum, u.TimeDateStamp = d.u32(), d.u32()
	u.Flags = d.u64()
	if d.err != nil {
		return nil, &OpenError{Path: path, Reason: TooShort, Msg: fmt.Sprintf("a user minidump that ends within its header, %v: copy it again", d.err), Err: d.err}
	}
	d = newDecoder("MINIDUMP_DIRECTORY", u.data, uint64(dir), 12*uint64(min(n, maxStreams)))
	if len(d.b) == 0 && n > 0 {
		return nil, &OpenError{Path: path, Reason: TooShort, Msg: fmt.Sprintf(
			"a user minidump whose directory at offset %#x lies behind the end of the file, %#x: the copy was cut short, copy it again", dir, len(u.data))}
	}
	for i := range min(n, maxStreams) {
		s := Stream{Type: StreamType(d.u32()), Size: d.u32(), RVA: d.u32()}
		if d.err != nil {
			u.warn(Truncated, fmt.Sprintf("ERROR: Directory only partially present in dump (RVA 0x%X)", dir),
				"The directory at offset %#x promises %d streams; %d are in the file.", dir, n, i)
			break
		}
		s.Data = u.at(uint64(s.RVA), uint64(s.Size))
		if s.Type != 0 && uint64(len(s.Data)) < uint64(s.Size) {
			how := "only partially present"
			if len(s.Data) == 0 {
				how = "not present"
			}
			u.warn(Truncated, fmt.Sprintf("ERROR: Dir entry %d, %v stream %s in dump (RVA 0x%X, size 0x%X)", i, s.Type, how, s.RVA, s.Size),
				"Of the %v at offset %#x %d of %d bytes are in the file.", s.Type, s.RVA, len(s.Data), s.Size)
		}
		u.Streams = append(u.Streams, s)
	}
	u.strings = 4*len(u.data) + 1<<20
	for _, r := range streamReaders {
		s, ok := u.Stream(r.typ)
		if !ok {
			continue
		}
		d := newDecoder(strings.TrimSuffix(s.Type.String(), "Stream"), s.Data, 0, uint64(len(s.Data)))
		d.base = uint64(s.RVA)
		if r.read(u, d); d.err != nil {
			u.warn(Truncated, "", "The %v cannot be read to its end: %v.", s.Type, d.err)
		}
	}
	u.finish()
	return u, nil
}

// Path returns the path the dump was opened by, DataPath that of the file that
// is mapped.
func (u *UserFile) Path() string { return u.path }

// DataPath returns the path of the file that is mapped.
func (u *UserFile) DataPath() string {
	if u.unpacked != "" {
		return u.unpacked
	}
	return u.path
}

// Warnings returns what is wrong with the dump, in the order found.
func (u *UserFile) Warnings() []Warning { return u.warnings }

// Space returns the memory of the process that the dump saved.
func (u *UserFile) Space() *memory.Blocks { return u.space }

// Ranges returns the memory ranges in the order of the file.
func (u *UserFile) Ranges() []UserRange { return u.ranges }

// Stream returns the first stream of a type; further ones are not used.
func (u *UserFile) Stream(typ StreamType) (Stream, bool) {
	for _, s := range u.Streams {
		if s.Type == typ {
			return s, true
		}
	}
	return Stream{}, false
}

// FullMemory tells whether the dump has a Memory64List: all of the process.
func (u *UserFile) FullMemory() bool {
	_, ok := u.Stream(Memory64ListStream)
	return ok
}

// LoadingLine is the line under "Loading Dump File", StatusText the description
// in the answer to "||".
func (u *UserFile) LoadingLine() string {
	if u.FullMemory() {
		return "User Mini Dump File with Full Memory: Only application data is available"
	}
	return "User Mini Dump File: Only registers, stack and portions of memory are available"
}

// StatusText is the description in the answer to "||".
func (u *UserFile) StatusText() string {
	if u.FullMemory() {
		return "Full memory user mini dump"
	}
	return "User mini dump"
}

// Close unmaps the file. Nothing it served must be used afterwards.
func (u *UserFile) Close() error {
	if u.file == nil {
		return nil
	}
	err := u.data.Unmap()
	if e := u.file.Close(); err == nil {
		err = e
	}
	u.file = nil
	return err
}

func (u *UserFile) warn(kind WarningKind, line, format string, args ...any) {
	w := Warning{Kind: kind, Msg: fmt.Sprintf(format, args...)}
	if line != "" {
		w.Box = []string{line}
	}
	u.warnings = append(u.warnings, w)
}

// at returns n bytes at an offset of the file, or as many as there are.
func (u *UserFile) at(off, n uint64) []byte {
	size := uint64(len(u.data))
	off = min(off, size)
	n = min(n, size-off)
	return u.data[off : off+n : off+n]
}

// str reads a MINIDUMP_STRING: a count of bytes, then UTF-16. A damaged file may
// name one long string very often: when all strings together grow far beyond
// the file, no more are read.
func (u *UserFile) str(rva uint32) string {
	if rva == 0 {
		return ""
	}
	d := newDecoder("MINIDUMP_STRING", u.data, uint64(rva), 4+2*nameMax)
	n := int(min(d.u32(), 2*nameMax))
	b := d.b[min(d.off, len(d.b)):min(d.off+n, len(d.b))]
	if u.strings -= len(b); u.strings < 0 {
		return ""
	}
	return utf16String(b)
}

// finish ties the streams together: memory, and what the module list needs.
func (u *UserFile) finish() {
	var blocks []memory.Block
	for _, t := range u.Threads {
		blocks = append(blocks, memory.Block{VA: t.Stack.VA, Data: t.Stack.Data})
	}
	var missing int
	for _, r := range u.ranges {
		blocks = append(blocks, memory.Block{VA: r.VA, Data: r.Data})
		if uint64(len(r.Data)) < r.Size {
			if missing++; missing == 1 {
				u.warn(Truncated, fmt.Sprintf("ERROR: Memory range data only partially present in dump (RVA 0x%X, size 0x%X)", r.Off, r.Size),
					"The memory at %#x is not wholly in the file: %d of %d bytes are.", r.VA, len(r.Data), r.Size)
			}
		}
	}
	if missing > 1 {
		u.warn(Truncated, "", "%d memory ranges are not wholly in the file.", missing)
	}
	u.space = memory.NewBlocks(blocks)
}
