// Package demo holds the demo dump and its symbols, so that "kdap demo" works
// on any machine without a file. engine/dumptest/gendemo makes them.
package demo

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

//go:embed demo.dmp.zst
var dump []byte

//go:embed symbols.zip
var symbols []byte

// Dump unpacks the dump.
func Dump() ([]byte, error) {
	d, err := zstd.NewReader(nil)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.DecodeAll(dump, nil)
}

// Write unpacks the dump and its symbols below dir and returns where they
// are: the dump file, and a folder for the symbol and image path. The folder
// is a symbol store with the PDBs and images of all programs; the kernel's
// table in ISF is in its folder isf.
func Write(dir string) (dumpFile, symbolDir string, err error) {
	dumpFile, symbolDir = filepath.Join(dir, "demo.dmp"), filepath.Join(dir, "symbols")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", "", err
	}
	b, err := Dump()
	if err != nil {
		return "", "", fmt.Errorf("demo dump: %w", err)
	}
	if err := writeSparse(dumpFile, b); err != nil {
		return "", "", err
	}
	z, err := zip.NewReader(bytes.NewReader(symbols), int64(len(symbols)))
	if err != nil {
		return "", "", fmt.Errorf("demo symbols: %w", err)
	}
	for _, f := range z.File {
		if err := unpack(symbolDir, f); err != nil {
			return "", "", fmt.Errorf("demo symbols: %s: %w", f.Name, err)
		}
	}
	return dumpFile, symbolDir, nil
}

// writeSparse leaves pages of zeros out of the file.
func writeSparse(path string, b []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	const chunk = 0x1000
	var zero [chunk]byte
	for off := 0; off < len(b) && err == nil; off += chunk {
		part := b[off:min(off+chunk, len(b))]
		if !bytes.Equal(part, zero[:len(part)]) {
			_, err = f.WriteAt(part, int64(off))
		}
	}
	if err == nil {
		err = f.Truncate(int64(len(b)))
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

func unpack(dir string, f *zip.File) error {
	if !filepath.IsLocal(filepath.FromSlash(f.Name)) || strings.Contains(f.Name, `\`) {
		return fmt.Errorf("not a path below the folder")
	}
	path := filepath.Join(dir, filepath.FromSlash(f.Name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}
