package dumptest

import (
	"encoding/binary"
	"slices"
	"unicode/utf16"
)

// A Minidump writes a user minidump: the dump of one process. Its records are
// those of minidumpapiset.h.
type Minidump struct {
	Architecture uint16 // of SYSTEM_INFO: 0 x86, 9 x64, 12 ARM64
	Build        uint32
	PID          uint32
	Created      uint32 // seconds since 1970; Stamp is when the dump was made
	Stamp        uint32

	Threads   []MinidumpThread
	Modules   []MinidumpModule
	Memory    []MinidumpMemory // a Memory64List: all of the process
	Exception *MinidumpException
}

// A MinidumpThread is a thread with its CONTEXT.
type MinidumpThread struct {
	ID      uint32
	TEB     uint64
	Context []byte

	// Times of a ThreadInfoList, in units of FILETIME; the list is written when
	// a thread was created.
	Created, Kernel, User uint64
}

// A MinidumpModule is a module of the process.
type MinidumpModule struct {
	Path            string
	Base            uint64
	Size            uint32
	Stamp, CheckSum uint32
}

// MinidumpMemory is bytes of the process.
type MinidumpMemory struct {
	VA   uint64
	Data []byte
}

// A MinidumpException is what the dump was made for.
type MinidumpException struct {
	ThreadID, Code uint32
	Address        uint64
	Parameters     []uint64
	Context        []byte
}

// streams of MINIDUMP_STREAM_TYPE.
const (
	streamThreads   = 3
	streamModules   = 4
	streamException = 6
	streamSystem    = 7
	streamMemory64  = 9
	streamMisc      = 15
	streamInfo      = 17
)

// Bytes returns the file.
func (m *Minidump) Bytes() []byte {
	w := &miniWriter{b: make([]byte, 32)}
	type stream struct{ typ, size, rva uint32 }
	var dir []stream
	add := func(typ uint32, body []byte) {
		w.align()
		dir = append(dir, stream{typ, uint32(len(body)), uint32(len(w.b))})
		w.b = append(w.b, body...)
	}
	add(streamSystem, m.system())
	add(streamMisc, m.misc())
	add(streamThreads, m.threads(w))
	if slices.ContainsFunc(m.Threads, func(t MinidumpThread) bool { return t.Created != 0 }) {
		add(streamInfo, m.threadInfo())
	}
	add(streamModules, m.modules(w))
	if m.Exception != nil {
		add(streamException, m.exception(w))
	}
	// The memory comes last: its list says where.
	list := words64(uint64(len(m.Memory)), 0)
	for _, r := range m.Memory {
		list = append(list, words64(r.VA, uint64(len(r.Data)))...)
	}
	add(streamMemory64, list)
	at := len(w.b) - len(list)
	w.align()
	table := len(w.b)
	for _, s := range dir {
		w.b = append(w.b, words32(s.typ, s.size, s.rva)...)
	}
	w.align()
	binary.LittleEndian.PutUint64(w.b[at+8:], uint64(len(w.b)))
	for _, r := range m.Memory {
		w.b = append(w.b, r.Data...)
	}
	copy(w.b, "MDMP")
	copy(w.b[4:], words32(0xa793, uint32(len(dir)), uint32(table), 0, m.Stamp))
	return w.b
}

func (m *Minidump) system() []byte {
	b := binary.LittleEndian.AppendUint16(nil, m.Architecture)
	b = append(b, 0, 0, 0, 0, 2, 1) // level, revision, processors, a workstation
	b = append(b, words32(10, 0, m.Build, 2, 0, 0)...)
	return append(b, make([]byte, 24)...)
}

func (m *Minidump) misc() []byte { return words32(24, 3, m.PID, m.Created, 2, 1) }

func (m *Minidump) threads(w *miniWriter) []byte {
	b := words32(uint32(len(m.Threads)))
	for _, t := range m.Threads {
		rva := w.put(t.Context)
		b = append(b, words32(t.ID, 0, 0x20, 0)...)
		b = append(b, words64(t.TEB, 0)...)
		b = append(b, words32(0, 0, uint32(len(t.Context)), rva)...)
	}
	return b
}

// threadInfo is a MINIDUMP_THREAD_INFO_LIST.
func (m *Minidump) threadInfo() []byte {
	const header, entry = 12, 64
	b := words32(header, entry, uint32(len(m.Threads)))
	for _, t := range m.Threads {
		b = append(b, words32(t.ID, 0, 0, 0x103)...)
		b = append(b, words64(t.Created, 0, t.Kernel, t.User, 0, 1)...)
	}
	return b
}

func (m *Minidump) modules(w *miniWriter) []byte {
	b := words32(uint32(len(m.Modules)))
	for _, mod := range m.Modules {
		b = append(b, words64(mod.Base)...)
		b = append(b, words32(mod.Size, mod.CheckSum, mod.Stamp, w.text(mod.Path))...)
		b = append(b, make([]byte, 52+8+8+16)...)
	}
	return b
}

func (m *Minidump) exception(w *miniWriter) []byte {
	e := m.Exception
	rva := w.put(e.Context)
	b := words32(e.ThreadID, 0, e.Code, 0)
	b = append(b, words64(0, e.Address)...)
	b = append(b, words32(uint32(len(e.Parameters)), 0)...)
	b = append(b, words64(append(slices.Clone(e.Parameters), make([]uint64, 15-len(e.Parameters))...)...)...)
	return append(b, words32(uint32(len(e.Context)), rva)...)
}

type miniWriter struct{ b []byte }

func (w *miniWriter) align() {
	for len(w.b)%8 != 0 {
		w.b = append(w.b, 0)
	}
}

func (w *miniWriter) put(data []byte) uint32 {
	w.align()
	rva := uint32(len(w.b))
	w.b = append(w.b, data...)
	return rva
}

// text writes a MINIDUMP_STRING.
func (w *miniWriter) text(s string) uint32 {
	units := utf16.Encode([]rune(s))
	b := words32(uint32(2 * len(units)))
	for _, u := range units {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return w.put(append(b, 0, 0))
}

func words32(v ...uint32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

func words64(v ...uint64) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}
