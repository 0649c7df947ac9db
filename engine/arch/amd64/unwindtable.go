package amd64

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"kdap/engine/memory"
	"kdap/engine/pe"
)

// ErrNoUnwindData is the reason when neither memory nor a file has the headers
// that say where an image's function table is.
var ErrNoUnwindData = errors.New("no unwind data: the image's headers are not in the dump and no image file is known")

// A FunctionTable looks up the unwind data of one image. It reads the pages it
// needs, from memory or else from the image's file, and keeps them. It is safe
// for concurrent use.
type FunctionTable struct {
	base uint64
	img  *pe.Image // in memory; nil when its headers cannot be read
	file func() *pe.Image

	dir     pe.DataDirectory
	dirErr  error
	dirOnce sync.Once

	pages []atomic.Pointer[tablePage] // of the directory; index = page of the image − first page

	mu    sync.RWMutex
	infos map[uint32]*UnwindInfo
}

// A tablePage is a page that holds part of a function table, or why it is missing.
type tablePage struct {
	data [memory.PageSize]byte
	err  error
}

// maxUnwindInfos bounds the cache of decoded unwind data.
const maxUnwindInfos = 1 << 14

// NewFunctionTable returns the function table of the image mapped at base. img is
// that image in memory, nil when its headers cannot be read. file, which may be
// nil, returns the same image's file or nil; it is asked once, when memory does
// not have what is needed.
func NewFunctionTable(base uint64, img *pe.Image, file func() *pe.Image) *FunctionTable {
	t := &FunctionTable{base: base, img: img, infos: make(map[uint32]*UnwindInfo)}
	if file == nil {
		file = func() *pe.Image { return nil }
	}
	t.file = sync.OnceValue(file)
	return t
}

// Base returns where the image is mapped.
func (t *FunctionTable) Base() uint64 { return t.base }

func (t *FunctionTable) directory() (pe.DataDirectory, error) {
	t.dirOnce.Do(func() {
		img := t.img
		if img == nil {
			img = t.file()
		}
		switch {
		case img == nil:
			t.dirErr = ErrNoUnwindData
			return
		case img.Machine != pe.MachineAMD64:
			t.dirErr = fmt.Errorf("no unwind data: an image for %v", img.Machine)
			return
		}
		t.dir = img.Directory(pe.DirException)
		if t.dir.RVA >= img.SizeOfImage {
			t.dir = pe.DataDirectory{}
		}
		t.dir.Size = min(t.dir.Size, img.SizeOfImage-t.dir.RVA)
		if n := t.dir.Size / runtimeFunctionSize; n > 0 {
			last := t.dir.RVA + n*runtimeFunctionSize - 1
			t.pages = make([]atomic.Pointer[tablePage], last/memory.PageSize-t.dir.RVA/memory.PageSize+1)
		}
	})
	return t.dir, t.dirErr
}

// Len returns the number of entries.
func (t *FunctionTable) Len() (int, error) {
	dir, err := t.directory()
	return int(dir.Size / runtimeFunctionSize), err
}

// ReadRVA reads from the image in memory, or else from its file.
func (t *FunctionTable) ReadRVA(rva uint32, p []byte) (int, error) {
	n, err := 0, ErrNoUnwindData
	if t.img != nil {
		if n, err = t.img.ReadRVA(rva, p); err == nil {
			return n, nil
		}
	}
	if f := t.file(); f != nil {
		if m, ferr := f.ReadRVA(rva, p); ferr == nil || m > n {
			return m, ferr
		}
	}
	return n, err
}

// page returns page i of the directory.
func (t *FunctionTable) page(i uint32) *tablePage {
	if p := t.pages[i].Load(); p != nil {
		return p
	}
	p := new(tablePage)
	rva := (t.dir.RVA/memory.PageSize + i) * memory.PageSize
	// Of the first and last page, only the directory's part has to be there.
	from := max(rva, t.dir.RVA)
	to := min(uint64(rva)+memory.PageSize, uint64(t.dir.RVA)+uint64(t.dir.Size))
	_, p.err = t.ReadRVA(from, p.data[from-rva:uint32(to-uint64(rva))])
	t.pages[i].CompareAndSwap(nil, p)
	return t.pages[i].Load()
}

// Entry returns entry i of the table.
func (t *FunctionTable) Entry(i int) (RuntimeFunction, error) {
	n, err := t.Len()
	if err != nil {
		return RuntimeFunction{}, err
	}
	if i < 0 || i >= n {
		return RuntimeFunction{}, fmt.Errorf("function table entry %d of %d", i, n)
	}
	f, err := t.entry(i)
	if err != nil {
		err = fmt.Errorf("function table entry %d: %w", i, err)
	}
	return f, err
}

func (t *FunctionTable) entry(i int) (RuntimeFunction, error) {
	off := t.dir.RVA%memory.PageSize + uint32(i)*runtimeFunctionSize
	at := off % memory.PageSize
	p := t.page(off / memory.PageSize)
	if p.err != nil {
		return RuntimeFunction{}, p.err
	}
	if at+runtimeFunctionSize <= memory.PageSize {
		return decodeRuntimeFunction(p.data[at:]), nil
	}
	next := t.page(off/memory.PageSize + 1)
	if next.err != nil {
		return RuntimeFunction{}, next.err
	}
	var b [runtimeFunctionSize]byte
	n := copy(b[:], p.data[at:])
	copy(b[n:], next.data[:])
	return decodeRuntimeFunction(b[:]), nil
}

// readable returns a readable entry of lo … hi-1 near mid.
func (t *FunctionTable) readable(lo, mid, hi int) (int, RuntimeFunction, error) {
	f, err := t.entry(mid)
	if err == nil {
		return mid, f, nil
	}
	const perPage = memory.PageSize / runtimeFunctionSize
	for d := 1; mid-d*perPage >= lo-perPage || mid+d*perPage < hi+perPage; d++ {
		for _, i := range [2]int{min(mid+d*perPage, hi-1), max(mid-d*perPage, lo)} {
			if f, e := t.entry(i); e == nil {
				return i, f, nil
			}
		}
	}
	return 0, f, err
}

// Lookup returns the entry whose function holds rva, an indirect one resolved.
// Not found without an error means that the image has no unwind data there: a
// leaf function.
func (t *FunctionTable) Lookup(rva uint32) (f RuntimeFunction, found bool, err error) {
	n, err := t.Len()
	if err != nil {
		return f, false, err
	}
	for lo, hi := 0, n; lo < hi; {
		var i int
		if i, f, err = t.readable(lo, int(uint(lo+hi)/2), hi); err != nil {
			return RuntimeFunction{}, false, fmt.Errorf("function table entries %d to %d: %w", lo, hi-1, err)
		}
		switch {
		case rva < f.Begin:
			hi = i
		case rva >= f.End:
			lo = i + 1
		default:
			f, err = t.resolve(f)
			return f, err == nil, err
		}
	}
	return RuntimeFunction{}, false, nil
}

// resolve follows an indirect entry to the one it stands for.
func (t *FunctionTable) resolve(f RuntimeFunction) (RuntimeFunction, error) {
	if f.UnwindData&1 == 0 {
		return f, nil
	}
	rva := f.UnwindData &^ 1
	var b [runtimeFunctionSize]byte
	if _, err := t.ReadRVA(rva, b[:]); err != nil {
		return f, fmt.Errorf("indirect function entry: %w", err)
	}
	if f = decodeRuntimeFunction(b[:]); f.UnwindData&1 != 0 {
		return f, &UnwindFormatError{rva, "indirect entry for an indirect entry"}
	}
	return f, nil
}

// Info returns the decoded unwind data of a function.
func (t *FunctionTable) Info(f RuntimeFunction) (*UnwindInfo, error) {
	rva := f.UnwindData
	t.mu.RLock()
	u := t.infos[rva]
	t.mu.RUnlock()
	if u != nil {
		return u, nil
	}
	var b [unwindInfoMax]byte
	// The size is known from the third byte; a longer read could meet a page
	// that is missing.
	if _, err := t.ReadRVA(rva, b[:4]); err != nil {
		return nil, fmt.Errorf("unwind data at RVA %#x: %w", rva, err)
	}
	n := 4 + (int(b[2])+1)&^1*2
	switch flags := b[0] >> 3; {
	case flags&UnwindChained != 0:
		n += runtimeFunctionSize
	case flags&(UnwindExceptionHandler|UnwindTerminationHandler) != 0:
		n += 4
	}
	if _, err := t.ReadRVA(rva, b[:n]); err != nil {
		return nil, fmt.Errorf("unwind data at RVA %#x: %w", rva, err)
	}
	u, err := ParseUnwindInfo(rva, b[:n])
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.infos) >= maxUnwindInfos {
		clear(t.infos)
	}
	t.infos[rva] = u
	return u, nil
}

// maxChain bounds the entries that continue each other; the longest known chains
// have three.
const maxChain = 32

// Primary follows chained unwind data to the entry of the function's start.
func (t *FunctionTable) Primary(f RuntimeFunction) (RuntimeFunction, error) {
	for range maxChain {
		u, err := t.Info(f)
		if err != nil || u.Flags&UnwindChained == 0 {
			return f, err
		}
		if f, err = t.resolve(u.Chained); err != nil {
			return f, err
		}
	}
	return f, &UnwindFormatError{f.UnwindData, fmt.Sprintf("more than %d chained entries", maxChain)}
}
