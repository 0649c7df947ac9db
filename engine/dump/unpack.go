package dump

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

const (
	// maxUnpacked is the default bound on the size of an unpacked dump.
	maxUnpacked = 1 << 40
	// sniffSize is how much is unpacked before the disk is touched.
	sniffSize = 64 << 10
	// reportEvery is how many bytes of the dump lie between two reports.
	reportEvery = 8 << 20
)

// unpack writes the dump in a packed file to the cache folder, unless it is
// there already, and returns the path of the result. A result is known by the
// packed file's path, size and time.
func unpack(ctx context.Context, named string, src *source, opt Options) (string, error) {
	info, err := src.file.Stat()
	if err != nil {
		return "", &OpenError{Path: named, Reason: NotFound, Msg: "the file cannot be read: " + err.Error(), Err: err}
	}
	dir := opt.CacheDir
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", &OpenError{Path: named, Reason: Unpacking, Msg: fmt.Sprintf("it must be unpacked, and there is no cache folder to unpack it to: %v", err), Err: err}
		}
		dir = filepath.Join(user, "kdap", "dumps")
	}
	full, err := filepath.Abs(named)
	if err != nil {
		full = named
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d", full, info.Size(), info.ModTime().UnixNano()))
	out := filepath.Join(dir, fmt.Sprintf("%s-%x.dmp", cacheName(named), key[:8]))
	if have, err := os.Stat(out); err == nil && have.Mode().IsRegular() && have.Size() > 0 {
		return out, nil
	}

	in, total, err := openPacked(named, src)
	if err != nil {
		return "", err
	}
	defer in.Close()
	r := &progressReader{ctx: ctx, r: in, done: in.done, total: total, report: opt.Progress, limit: maxUnpacked}
	if opt.MaxUnpacked != 0 {
		r.limit = opt.MaxUnpacked
	}
	head := make([]byte, sniffSize)
	n, err := fill(r, head)
	head = head[:n]
	if err != nil && err != io.EOF {
		return "", packedError(ctx, named, err)
	}
	switch f := sniff(head); f {
	case formatKernel64, formatUser, formatELFCore, formatOther:
	case formatZip, formatZstd:
		return "", &OpenError{Path: named, Reason: Archive, Msg: "the dump in it is packed a second time: unpack it once and open the result"}
	default:
		e := refuse(named, f)
		e.Msg = "the file packed in it is no 64-bit dump: " + e.Msg
		return "", e
	}
	if err := writeCache(dir, out, io.MultiReader(bytes.NewReader(head), r)); err != nil {
		return "", packedError(ctx, named, err)
	}
	r.finish()
	return out, nil
}

// packedError turns an error of reading or writing into an *OpenError.
func packedError(ctx context.Context, named string, err error) error {
	var pe *os.PathError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errTooBig):
		return &OpenError{Path: named, Reason: Unpacking, Msg: "the dump in it is larger than the limit for unpacking: unpack it by hand and open the result", Err: err}
	case errors.As(err, &pe):
		return &OpenError{Path: named, Reason: Unpacking, Msg: fmt.Sprintf("it must be unpacked, but the cache cannot be written: %v", err), Err: err}
	}
	return &OpenError{Path: named, Reason: Archive, Msg: fmt.Sprintf("the packed file is damaged or cut short (%v): copy it again", err), Err: err}
}

// cacheName makes a readable part of a file name out of a path that is not
// trusted.
func cacheName(named string) string {
	base := filepath.Base(named)
	for _, ext := range []string{".zst", ".zip", ".dmp"} {
		if len(base) > len(ext) && strings.EqualFold(base[len(base)-len(ext):], ext) {
			base = base[:len(base)-len(ext)]
		}
	}
	base = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, base)
	return base[:min(len(base), 64)]
}

// A packed reads an unpacked dump and tells how much of total is done.
type packed struct {
	io.Reader
	close func()
	done  func() uint64 // nil: what was read of the dump counts
}

func (p *packed) Close() { p.close() }

func openPacked(named string, src *source) (p *packed, total uint64, err error) {
	if src.format == formatZstd {
		in := bytes.NewReader(src.data)
		z, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(1<<31), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, 0, &OpenError{Path: named, Reason: Archive, Msg: fmt.Sprintf("the .zst file cannot be unpacked: %v", err), Err: err}
		}
		total = uint64(len(src.data))
		return &packed{z, z.Close, func() uint64 { return total - uint64(in.Len()) }}, total, nil
	}
	zr, err := zip.NewReader(bytes.NewReader(src.data), int64(len(src.data)))
	if err != nil {
		return nil, 0, &OpenError{Path: named, Reason: Archive, Msg: fmt.Sprintf("the .zip archive is damaged or cut short (%v): copy it again", err), Err: err}
	}
	zr.RegisterDecompressor(zstd.ZipMethodWinZip, zstd.ZipDecompressor(zstd.WithDecoderMaxWindow(1<<31)))
	for _, f := range zr.File {
		name := strings.ReplaceAll(f.Name, `\`, "/")
		if !strings.EqualFold(path.Ext(name), ".dmp") || f.FileInfo().IsDir() {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, 0, &OpenError{Path: named, Reason: Archive, Msg: fmt.Sprintf("%q in the .zip archive cannot be unpacked (%v): unpack it by hand and open the result", f.Name, err), Err: err}
		}
		return &packed{r, func() { r.Close() }, nil}, f.UncompressedSize64, nil
	}
	return nil, 0, &OpenError{Path: named, Reason: Archive, Msg: "the .zip archive has no .dmp file in it"}
}

var errTooBig = errors.New("larger than the limit")

// progressReader counts, reports, and ends with the context or at the limit.
type progressReader struct {
	ctx    context.Context
	r      io.Reader
	done   func() uint64
	total  uint64
	report func(done, total uint64)
	limit  uint64
	read   uint64
	told   uint64 // read when last told
}

func (p *progressReader) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	p.read += uint64(n)
	if p.read > p.limit {
		return n, errTooBig
	}
	if p.report != nil && p.read-p.told >= reportEvery {
		p.told = p.read
		p.report(p.progress(), p.total)
	}
	return n, err
}

func (p *progressReader) progress() uint64 {
	done := p.read
	if p.done != nil {
		done = p.done()
	}
	return min(done, p.total)
}

func (p *progressReader) finish() {
	if p.report != nil {
		p.report(p.total, p.total)
	}
}

// writeCache writes r to the file out in dir, all of it or nothing.
func writeCache(dir, out string, r io.Reader) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, "unpacking-*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails after the rename, as it should
	makeSparse(tmp)
	if err := copySparse(tmp, r); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), out); err != nil {
		// Someone else may have been faster and have it open (Windows).
		if _, e := os.Stat(out); e == nil {
			return nil
		}
		return err
	}
	return nil
}

// copySparse writes r to an empty file and leaves holes for pages of zeros, so
// that a mostly empty dump takes little of the disk.
func copySparse(f *os.File, r io.Reader) error {
	buf := make([]byte, 1<<20)
	for off := int64(0); ; {
		n, err := fill(r, buf)
		if e := writeSparse(f, buf[:n], off); e != nil {
			return e
		}
		off += int64(n)
		switch {
		case err == io.EOF:
			return f.Truncate(off)
		case err != nil:
			return err
		}
	}
}

// fill reads until buf is full. Unlike io.ReadFull it returns the reader's own
// error, so that io.EOF is the end of the data and nothing else is.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

// writeSparse writes those pages of b that are not all zeros.
func writeSparse(f *os.File, b []byte, off int64) error {
	const page = 4096
	var zero [page]byte
	isZero := func(at int) bool {
		p := b[at:min(at+page, len(b))]
		return bytes.Equal(p, zero[:len(p)])
	}
	for at := 0; at < len(b); {
		if isZero(at) {
			at += page
			continue
		}
		end := at
		for end < len(b) && !isZero(end) {
			end += page
		}
		end = min(end, len(b))
		if _, err := f.WriteAt(b[at:end], off+int64(at)); err != nil {
			return err
		}
		at = end
	}
	return nil
}
