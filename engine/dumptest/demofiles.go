package dumptest

import (
	"archive/zip"
	"bytes"
	"maps"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// DemoFiles packs the demo dump and its symbols as package demo embeds them.
func DemoFiles() (dump, symbols []byte, err error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, nil, err
	}
	dump = enc.EncodeAll(Demo().Bytes(Full), nil)
	if err := enc.Close(); err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	files := SymbolFiles(PDBs | ISF | Images)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err != nil {
			return nil, nil, err
		}
		if _, err := w.Write(files[name]); err != nil {
			return nil, nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, nil, err
	}
	return dump, b.Bytes(), nil
}
