package cab

import (
	"errors"
	"fmt"
)

// lzx unpacks LZX as cabinets use it: each block of the cabinet is one frame of
// 32 KB of output and starts on a fresh word of the bit stream; the window, the
// code lengths and LZX's own blocks go on across frames.
type lzx struct {
	window []byte
	pos    int // in the window
	in     bitReader

	started    bool
	translate  uint32 // size of the x86 call translation, 0 for none
	frames     int64
	r0, r1, r2 uint32 // the last three match offsets

	kind    uint // of the current block
	left    int  // bytes of it that are still to come
	oddRaw  bool // a padding byte follows the raw block
	mainLen []uint8
	lenLen  []uint8
	main    huffman
	length  huffman
	aligned huffman

	out []byte
}

// Kinds of LZX blocks.
const (
	lzxVerbatim = 1
	lzxAligned  = 2
	lzxRaw      = 3

	lzxLengths = 249 // symbols of the length code
)

// lzxSlots is the number of position slots for windows of 2^15 to 2^21 bytes.
var lzxSlots = [...]int{30, 32, 34, 36, 38, 42, 50}

// lzxBase and lzxExtra say what a position slot means: the smallest offset and
// how many bits are added to it.
var lzxBase, lzxExtra = func() (base [51]uint32, extra [51]uint) {
	for i := range base {
		if i > 0 {
			base[i] = base[i-1] + 1<<extra[i-1]
		}
		if i >= 4 {
			extra[i] = uint(min(17, i/2-1))
		}
	}
	return base, extra
}()

func newLZX(windowBits uint) *lzx {
	return &lzx{
		window: make([]byte, 1<<windowBits),
		r0:     1, r1: 1, r2: 1,
		mainLen: make([]uint8, 256+8*lzxSlots[windowBits-15]),
		lenLen:  make([]uint8, lzxLengths),
	}
}

var errLZXEnd = errors.New("LZX data ends early")

func (l *lzx) block(src []byte, n int) ([]byte, error) {
	l.in = bitReader{src: src}
	if !l.started {
		l.started = true
		if l.in.read(1) == 1 {
			l.translate = l.in.read(16)<<16 | l.in.read(16)
		}
	}
	if n > len(l.window)-l.pos { // frames divide the window
		return nil, fmt.Errorf("LZX frame of %d bytes at %#x of the window", n, l.pos)
	}
	start := l.pos
	for end := start + n; l.pos < end; {
		if l.left == 0 {
			if err := l.header(); err != nil {
				return nil, err
			}
		}
		run := min(l.left, end-l.pos)
		var err error
		if l.kind == lzxRaw {
			err = l.raw(run)
		} else {
			err = l.decode(l.pos + run)
		}
		if err != nil {
			return nil, err
		}
		l.left -= run
	}
	if l.in.overrun() {
		return nil, errLZXEnd
	}
	frame := l.window[start:l.pos]
	if l.pos == len(l.window) {
		l.pos = 0
	}
	// The translation is undone in a copy: matches see the untranslated bytes.
	l.out = append(l.out[:0], frame...)
	l.untranslate(l.out)
	l.frames++
	return l.out, nil
}

// header reads the head of an LZX block.
func (l *lzx) header() error {
	if l.oddRaw {
		l.oddRaw = false
		l.in.skipByte()
	}
	l.kind = uint(l.in.read(3))
	l.left = int(l.in.read(16)<<8 | l.in.read(8))
	if l.left == 0 {
		return errors.New("empty LZX block")
	}
	switch l.kind {
	case lzxAligned:
		var lengths [8]uint8
		for i := range lengths {
			lengths[i] = uint8(l.in.read(3))
		}
		if err := l.aligned.build(lengths[:]); err != nil {
			return err
		}
		fallthrough
	case lzxVerbatim:
		for _, part := range [][]uint8{l.mainLen[:256], l.mainLen[256:], l.lenLen} {
			if err := l.lengths(part); err != nil {
				return err
			}
		}
		if err := l.main.build(l.mainLen); err != nil {
			return err
		}
		return l.length.build(l.lenLen)
	case lzxRaw:
		head := l.in.rawBytes(12)
		if head == nil {
			return errLZXEnd
		}
		l.r0, l.r1, l.r2 = le.Uint32(head), le.Uint32(head[4:]), le.Uint32(head[8:])
		l.oddRaw = l.left&1 == 1
		return nil
	}
	return fmt.Errorf("LZX block of kind %d", l.kind)
}

// lengths reads code lengths, which are coded as differences to those before.
func (l *lzx) lengths(lens []uint8) error {
	var pre [20]uint8
	for i := range pre {
		pre[i] = uint8(l.in.read(4))
	}
	var h huffman
	if err := h.build(pre[:]); err != nil {
		return err
	}
	for i := 0; i < len(lens); {
		sym, err := h.decode(&l.in)
		if err != nil {
			return err
		}
		run, value := 1, uint8(0)
		switch sym {
		case 17:
			run = 4 + int(l.in.read(4))
		case 18:
			run = 20 + int(l.in.read(5))
		case 19:
			run = 4 + int(l.in.read(1))
			if sym, err = h.decode(&l.in); err != nil {
				return err
			}
			if sym > 16 {
				return fmt.Errorf("LZX code length symbol %d is repeated", sym)
			}
			value = uint8((int(lens[i]) - int(sym) + 17) % 17)
		default:
			value = uint8((int(lens[i]) - int(sym) + 17) % 17)
		}
		if run > len(lens)-i {
			return fmt.Errorf("%d LZX code lengths, %d symbols are left", run, len(lens)-i)
		}
		for range run {
			lens[i] = value
			i++
		}
	}
	return nil
}

// raw copies bytes that are not compressed.
func (l *lzx) raw(n int) error {
	if len(l.in.src) < n {
		return errLZXEnd
	}
	copy(l.window[l.pos:], l.in.src[:n])
	l.in.src = l.in.src[n:]
	l.pos += n
	return nil
}

// decode unpacks literals and matches up to window position end.
func (l *lzx) decode(end int) error {
	w := l.window
	for l.pos < end {
		sym, err := l.main.decode(&l.in)
		if err != nil {
			return err
		}
		if sym < 256 {
			w[l.pos] = byte(sym)
			l.pos++
			continue
		}
		n := int(sym&7) + 2
		if sym&7 == 7 {
			more, err := l.length.decode(&l.in)
			if err != nil {
				return err
			}
			n += int(more)
		}
		offset, err := l.offset(uint(sym-256) >> 3)
		if err != nil {
			return err
		}
		if n > end-l.pos || offset == 0 || offset > uint32(len(w)) {
			return fmt.Errorf("LZX match of %d bytes at distance %d", n, offset)
		}
		from := l.pos - int(offset)
		if from < 0 {
			from += len(w)
		}
		for range n {
			w[l.pos] = w[from]
			l.pos++
			if from++; from == len(w) {
				from = 0
			}
		}
	}
	return nil
}

// offset reads how far back a match of this position slot lies.
func (l *lzx) offset(slot uint) (uint32, error) {
	switch slot {
	case 0:
		return l.r0, nil
	case 1:
		l.r0, l.r1 = l.r1, l.r0
		return l.r0, nil
	case 2:
		l.r0, l.r2 = l.r2, l.r0
		return l.r0, nil
	}
	offset, extra := lzxBase[slot]-2, lzxExtra[slot]
	if l.kind == lzxAligned && extra >= 3 {
		offset += l.in.read(extra-3) << 3
		low, err := l.aligned.decode(&l.in)
		if err != nil {
			return 0, err
		}
		offset += uint32(low)
	} else {
		offset += l.in.read(extra)
	}
	l.r0, l.r1, l.r2 = offset, l.r0, l.r1
	return offset, nil
}

// untranslate turns the targets of x86 calls, stored as absolute, back into
// relative ones. It is done for the first gigabyte, and not in the last ten
// bytes of a frame.
func (l *lzx) untranslate(b []byte) {
	if l.translate == 0 || l.frames >= 32768 || len(b) <= 10 {
		return
	}
	base, size := int32(l.frames*maxBlock), int32(l.translate)
	for i := 0; i < len(b)-10; i++ {
		if b[i] != 0xe8 {
			continue
		}
		at := base + int32(i)
		target := int32(le.Uint32(b[i+1:]))
		if target >= -at && target < size {
			if target >= 0 {
				target -= at
			} else {
				target += size
			}
			le.PutUint32(b[i+1:], uint32(target))
		}
		i += 4
	}
}

// A bitReader reads 16-bit words, the highest bit first. Past the end come
// zeros, and overrun tells.
type bitReader struct {
	src     []byte
	buf     uint64 // unread bits, left-aligned
	n       uint   // how many
	missing uint   // bits of buf that were not there
}

func (r *bitReader) fill() {
	for r.n <= 48 {
		var w uint64
		if len(r.src) >= 2 {
			w = uint64(le.Uint16(r.src))
			r.src = r.src[2:]
		} else {
			if len(r.src) == 1 {
				w = uint64(r.src[0])
				r.src = nil
			}
			r.missing += 16
		}
		r.buf |= w << (48 - r.n)
		r.n += 16
	}
}

// peek returns the next k bits, at most 17.
func (r *bitReader) peek(k uint) uint32 {
	if r.n < k {
		r.fill()
	}
	return uint32(r.buf >> 32 >> (32 - k))
}

func (r *bitReader) drop(k uint) {
	r.buf <<= k
	r.n -= k
}

func (r *bitReader) read(k uint) uint32 {
	v := r.peek(k)
	r.drop(k)
	return v
}

// overrun reports whether bits were used that the data does not have.
func (r *bitReader) overrun() bool { return r.missing > r.n }

// rawBytes drops the rest of the current word (a whole one when nothing of it was
// read) and returns the next n bytes.
func (r *bitReader) rawBytes(n int) []byte {
	if r.n%16 == 0 {
		r.peek(16)
		r.drop(16)
	} else {
		r.drop(r.n % 16)
	}
	// Give the whole words that were buffered back.
	var b []byte
	for ; r.n > r.missing; r.n -= 16 {
		b = append(b, byte(r.buf>>48), byte(r.buf>>56))
		r.buf <<= 16
	}
	r.src = append(b, r.src...)
	r.buf, r.n, r.missing = 0, 0, 0
	if len(r.src) < n {
		return nil
	}
	out := r.src[:n]
	r.src = r.src[n:]
	return out
}

// skipByte drops the byte that pads a raw block of odd size.
func (r *bitReader) skipByte() {
	if r.n == 0 && len(r.src) > 0 {
		r.src = r.src[1:]
	}
}

// A huffman decodes a canonical code of up to 16 bits by one table.
type huffman struct {
	table []uint16 // symbol, by the next bits; noSymbol where there is none
	lens  []uint8
	bits  uint
}

const noSymbol = 0xffff

// build makes the table. A code may be empty; it must not claim more than
// there is.
func (h *huffman) build(lens []uint8) error {
	var count [17]int
	h.bits = 0
	for _, n := range lens {
		if n > 16 {
			return fmt.Errorf("LZX code of %d bits", n)
		}
		if n > 0 {
			count[n]++
			h.bits = max(h.bits, uint(n))
		}
	}
	h.lens = lens
	h.table = append(h.table[:0], make([]uint16, 1<<h.bits)...)
	at := 0
	for n := uint(1); n <= h.bits; n++ {
		span := 1 << (h.bits - n)
		if count[n]*span > len(h.table)-at {
			return errors.New("LZX code lengths claim too much")
		}
		if count[n] == 0 {
			continue
		}
		for sym, length := range lens {
			if uint(length) != n {
				continue
			}
			for i := range span {
				h.table[at+i] = uint16(sym)
			}
			at += span
		}
	}
	for ; at < len(h.table); at++ {
		h.table[at] = noSymbol
	}
	return nil
}

func (h *huffman) decode(r *bitReader) (uint16, error) {
	if h.bits == 0 {
		return 0, errors.New("LZX code without symbols is used")
	}
	sym := h.table[r.peek(h.bits)]
	if sym == noSymbol {
		return 0, errors.New("LZX bits that stand for no symbol")
	}
	r.drop(uint(h.lens[sym]))
	return sym, nil
}
