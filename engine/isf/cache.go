package isf

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/edsrzf/mmap-go"
	"github.com/ulikunitz/xz"
)

// Bounds of a table's size. The largest known one has 20 MB.
const (
	maxText       = 512 << 20
	maxCompressed = 128 << 20
)

// Open opens the table at path: JSON, plain or compressed with xz. Its index is
// looked for below cacheDir, and written there when it is missing; with an
// empty cacheDir, or one that cannot be written, it stays in memory.
func Open(path, cacheDir string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	key := sourceKey(path, info)
	cached := ""
	if cacheDir != "" {
		cached = filepath.Join(cacheDir, "isf", fmt.Sprintf("%x.idx", key[:16]))
		if f, err := openCached(cached, key, path); err == nil {
			return f, nil
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := buildIndex(file, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if cached != "" && writeAtomic(cached, b) == nil {
		if f, err := openCached(cached, key, path); err == nil {
			return f, nil // and the copy on the heap can go
		}
	}
	idx, err := openIndex(b, key)
	if err != nil {
		return nil, err
	}
	return newFile(idx, path), nil
}

// New reads a table, plain or compressed, from memory.
func New(r io.Reader) (*File, error) {
	var key [keySize]byte
	b, err := buildIndex(r, key)
	if err != nil {
		return nil, err
	}
	idx, err := openIndex(b, key)
	if err != nil {
		return nil, err
	}
	return newFile(idx, ""), nil
}

// sourceKey identifies a table by place, size and time of change.
func sourceKey(path string, info os.FileInfo) [keySize]byte {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00", path)
	binary.Write(h, binary.LittleEndian, [...]int64{info.Size(), info.ModTime().UnixNano()})
	return [keySize]byte(h.Sum(nil))
}

func openCached(cached string, key [keySize]byte, path string) (*File, error) {
	file, err := os.Open(cached)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	// The mapping lives as long as the process: strings and types may be asked
	// for at any time, and an index is small.
	m, err := mmap.Map(file, mmap.RDONLY, 0)
	if err != nil {
		return nil, err
	}
	idx, err := openIndex(m, key)
	if err != nil {
		m.Unmap()
		return nil, err
	}
	return newFile(idx, path), nil
}

func buildIndex(r io.Reader, key [keySize]byte) ([]byte, error) {
	text, err := readText(r)
	if err != nil {
		return nil, err
	}
	t, err := parse(text)
	if err != nil {
		return nil, err
	}
	return t.encode(key)
}

// readText returns the JSON text, unpacked.
func readText(r io.Reader) ([]byte, error) {
	b, err := readLimited(r, maxText)
	if err != nil || !bytes.HasPrefix(b, []byte("\xfd7zXZ\x00")) {
		return b, err
	}
	if len(b) > maxCompressed {
		return nil, fmt.Errorf("compressed table of %d bytes is too large", len(b))
	}
	x, err := xz.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return readLimited(x, maxText)
}

func readLimited(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("symbol table is larger than %d MB", limit>>20)
	}
	return b, err
}

// writeAtomic writes a file under a name of its own and renames it, so that no
// other process ever sees a part of it.
func writeAtomic(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone already when all went well
	_, err = tmp.Write(b)
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
