// Package cab reads Windows cabinet files as symbol servers deliver them: one
// compressed file in one folder.
//
// The layout follows Microsoft's published cabinet format; MSZIP is a series of
// deflate blocks that share a window, LZX follows the published description of
// the algorithm. Cabinets that span several files, and the Quantum
// compression, are refused.
//
// Sizes and offsets in the file are claims: they are bounded before use, and no
// more is written than the file says it holds.
package cab

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// A FormatError tells where a cabinet breaks the rules.
type FormatError struct {
	Record, Msg string
	Off         int64
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s at offset %#x: %s", e.Record, e.Off, e.Msg)
}

// A Cabinet is an open cabinet file.
type Cabinet struct {
	Files   []File
	folders []folder
	r       io.ReaderAt
	reserve int64 // bytes in front of the data of each block
}

// A File is an entry.
type File struct {
	Name   string
	Size   int64
	offset int64 // in the folder's data
	folder int
}

type folder struct {
	at     int64 // of the first block
	blocks int
	method uint16
}

const (
	methodStored = 0
	methodMSZIP  = 1
	methodLZX    = 3
	methodMask   = 15

	flagPrev    = 1
	flagNext    = 2
	flagReserve = 4

	maxBlock = 32 << 10 // unpacked bytes of a block
	// maxPacked is what a block may take: data that does not shrink grows a bit.
	maxPacked = maxBlock + 6144
	maxNames  = 1 << 20 // bytes of the file table that are looked at
)

var le = binary.LittleEndian

// Open reads the tables of a cabinet.
func Open(r io.ReaderAt) (*Cabinet, error) {
	head := make([]byte, 40)
	n, err := r.ReadAt(head, 0)
	if n < 36 {
		if err == nil || err == io.EOF {
			err = &FormatError{"CFHEADER", fmt.Sprintf("need 36 bytes, have %d", n), 0}
		}
		return nil, err
	}
	if string(head[:4]) != "MSCF" {
		return nil, &FormatError{"CFHEADER", "not a cabinet", 0}
	}
	c := &Cabinet{r: r}
	filesAt, folders, files := int64(le.Uint32(head[16:])), int(le.Uint16(head[26:])), int(le.Uint16(head[28:]))
	flags := le.Uint16(head[30:])
	if flags&(flagPrev|flagNext) != 0 {
		return nil, &FormatError{"CFHEADER", "part of a set of several cabinets", 30}
	}
	at, folderReserve := int64(36), int64(0)
	if flags&flagReserve != 0 {
		if n < 40 {
			return nil, &FormatError{"CFHEADER", "cut short", 36}
		}
		at = 40 + int64(le.Uint16(head[36:]))
		folderReserve, c.reserve = int64(head[38]), int64(head[39])
	}
	for range folders {
		b, err := c.read("CFFOLDER", at, 8)
		if err != nil {
			return nil, err
		}
		c.folders = append(c.folders, folder{int64(le.Uint32(b)), int(le.Uint16(b[4:])), le.Uint16(b[6:])})
		at += 8 + folderReserve
	}
	return c, c.readFiles(filesAt, files)
}

func (c *Cabinet) readFiles(at int64, count int) error {
	b := make([]byte, min(maxNames, count*(16+257)))
	n, err := c.r.ReadAt(b, at)
	if err != nil && err != io.EOF {
		return err
	}
	b = b[:n]
	for range count {
		if len(b) < 17 {
			return &FormatError{"CFFILE", "cut short", at}
		}
		end := bytes.IndexByte(b[16:], 0)
		if end < 0 || end > 256 {
			return &FormatError{"CFFILE", "name without end", at + 16}
		}
		f := File{
			Name: string(b[16 : 16+end]),
			Size: int64(le.Uint32(b)), offset: int64(le.Uint32(b[4:])), folder: int(le.Uint16(b[8:])),
		}
		if f.folder >= len(c.folders) {
			return &FormatError{"CFFILE", fmt.Sprintf("folder %d of %d", f.folder, len(c.folders)), at + 8}
		}
		c.Files = append(c.Files, f)
		b = b[17+end:]
		at += int64(17 + end)
	}
	return nil
}

func (c *Cabinet) read(record string, at int64, n int) ([]byte, error) {
	b := make([]byte, n)
	got, err := c.r.ReadAt(b, at)
	if got == n {
		return b, nil
	}
	if err == io.EOF {
		err = &FormatError{record, fmt.Sprintf("need %d bytes, have %d", n, got), at}
	}
	return nil, err
}

// A decompressor unpacks the blocks of a folder in order.
type decompressor interface {
	// block unpacks src to exactly n bytes. The result is valid until the next call.
	block(src []byte, n int) ([]byte, error)
}

// Extract writes the file's bytes to w.
func (c *Cabinet) Extract(file File, w io.Writer) error {
	f := c.folders[file.folder]
	var d decompressor
	switch f.method & methodMask {
	case methodStored:
		d = stored{}
	case methodMSZIP:
		d = &mszip{}
	case methodLZX:
		window := uint(f.method >> 8 & 31)
		if window < 15 || window > 21 {
			return &FormatError{"CFFOLDER", fmt.Sprintf("LZX window of 2^%d bytes", window), f.at}
		}
		d = newLZX(window)
	default:
		return &FormatError{"CFFOLDER", fmt.Sprintf("compression method %d is not supported", f.method&methodMask), f.at}
	}
	skip, left := file.offset, file.Size
	at := f.at
	for i := 0; i < f.blocks && left > 0; i++ {
		head, err := c.read("CFDATA", at, 8)
		if err != nil {
			return err
		}
		packed, n := int(le.Uint16(head[4:])), int(le.Uint16(head[6:]))
		if packed > maxPacked || n > maxBlock {
			return &FormatError{"CFDATA", fmt.Sprintf("block %d of %d bytes unpacks to %d", i, packed, n), at}
		}
		extra, err := c.read("CFDATA", at+8, int(c.reserve)+packed)
		if err != nil {
			return err
		}
		// The sum is over sizes, reserved area and data; 0 means there is none.
		if sum := le.Uint32(head); sum != 0 && sum != checksum(head[4:8], checksum(extra, 0)) {
			return &FormatError{"CFDATA", fmt.Sprintf("checksum of block %d does not match", i), at}
		}
		out, err := d.block(extra[c.reserve:], n)
		if err != nil {
			return &FormatError{"CFDATA", fmt.Sprintf("block %d: %v", i, err), at}
		}
		at += 8 + int64(len(extra))
		if skip >= int64(len(out)) {
			skip -= int64(len(out))
			continue
		}
		out = out[skip:]
		skip = 0
		out = out[:min(int64(len(out)), left)]
		if _, err := w.Write(out); err != nil {
			return err
		}
		left -= int64(len(out))
	}
	if left > 0 {
		return &FormatError{"CFFILE", fmt.Sprintf("%s ends %d bytes early", file.Name, left), at}
	}
	return nil
}

// checksum folds 4 bytes at a time; the last one to three count from the high
// end.
func checksum(b []byte, sum uint32) uint32 {
	for ; len(b) >= 4; b = b[4:] {
		sum ^= le.Uint32(b)
	}
	var tail uint32
	for _, c := range b {
		tail = tail<<8 | uint32(c)
	}
	return sum ^ tail
}

type stored struct{}

func (stored) block(src []byte, n int) ([]byte, error) {
	if len(src) != n {
		return nil, fmt.Errorf("%d bytes stored, %d wanted", len(src), n)
	}
	return src, nil
}
