package registry

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strings"

	"kdap/engine/types"
)

// Data above segmentSize is kept in segments, in hives of this version on.
const (
	segmentSize     = 16344
	segmentedMinor  = 4
	maxValue        = valueHeader + 0xffff
	maxValues       = 1 << 20
	maxData         = 64 << 20 // what is kept of one value's data
	maxSegmentCells = 4 * 0xffff
)

// A Value is a value of a key.
type Value struct {
	Hive *Hive
	Cell Cell
	Addr uint64 // past the size of its cell
	ValueNode
}

// Values yields the values in the order of their list. One that cannot be read
// gives an error in its place.
func (k *Key) Values(ctx context.Context) iter.Seq2[*Value, error] {
	return func(yield func(*Value, error) bool) {
		if k.Flags&KeyHiveExit != 0 || k.ValueCount == 0 || k.ValueList == NoCell {
			return
		}
		b, addr, _, err := k.Hive.cell(k.ValueList, 4*int(min(k.ValueCount, maxValues)))
		cells, perr := cellList(b, k.ValueCount)
		for _, c := range cells {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if !yield(k.Hive.Value(c)) {
				return
			}
		}
		if err == nil {
			err = perr
		}
		if err != nil {
			yield(nil, k.Hive.damage(k.ValueList, addr, "list of values", err))
		}
	}
}

// Value reads the value at a cell.
func (h *Hive) Value(c Cell) (*Value, error) {
	b, addr, _, err := h.cell(c, maxValue)
	if err != nil && len(b) < valueHeader {
		return nil, h.damage(c, addr, "value", err)
	}
	v, perr := parseValue(b)
	if perr != nil {
		return nil, h.damage(c, addr, "value", errors.Join(perr, err))
	}
	return &Value{Hive: h, Cell: c, Addr: addr, ValueNode: v}, nil
}

// ValueAt reads the value at addr, whose hive need not be known.
func (r *Registry) ValueAt(addr uint64) (ValueNode, error) {
	b, err := r.bytesAt(addr, maxValue)
	if err != nil {
		return ValueNode{}, fmt.Errorf("value %#x: %w", addr, err)
	}
	v, err := parseValue(b)
	if err != nil {
		return v, fmt.Errorf("value %#x: %w", addr, err)
	}
	return v, nil
}

// Value returns the value of this name, nil when the key has none. Names are
// compared without regard to letter case; "" is the default value.
func (k *Key) Value(ctx context.Context, name string) (*Value, error) {
	var errs []error
	for v, err := range k.Values(ctx) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if strings.EqualFold(v.Name, name) {
			return v, nil
		}
	}
	return nil, errors.Join(errs...)
}

// inField is where the data of a small value stands in it.
const inField = 8

// DataAddr returns where the data begins; of data in segments the first one.
func (v *Value) DataAddr() (uint64, error) {
	if v.Inline {
		return v.Addr + inField, nil
	}
	if v.Length == 0 {
		return 0, nil
	}
	if cells, err := v.segments(); err == nil && len(cells) > 0 {
		return v.Hive.Address(cells[0])
	}
	return v.Hive.Address(v.DataCell)
}

// Data reads the data. With an error it returns what could be read from the
// beginning on.
func (v *Value) Data() ([]byte, error) {
	if v.Inline {
		n := min(v.Length, uint32(len(v.small)))
		if n < v.Length {
			return v.small[:n], v.damage(fmt.Errorf("%d bytes in the value itself, which has room for 4", v.Length))
		}
		return v.small[:n], nil
	}
	if v.Length == 0 {
		return nil, nil
	}
	if cells, err := v.segments(); err != nil {
		return nil, err
	} else if cells != nil {
		return v.joined(cells)
	}
	want := int(min(v.Length, maxData))
	b, addr, size, err := v.Hive.cell(v.DataCell, want)
	if err == nil && int64(v.Length) > int64(size) {
		err = fmt.Errorf("%d bytes of data do not fit into the cell's %d", v.Length, size)
	} else if err == nil && int64(len(b)) < int64(v.Length) {
		err = fmt.Errorf("only the first %d of %d bytes were read", len(b), v.Length)
	}
	if err != nil {
		return b, v.Hive.damage(v.DataCell, addr, fmt.Sprintf("data of value %q", v.Name), err)
	}
	return b, nil
}

// segments returns the cells of data in segments, nil for other data.
func (v *Value) segments() ([]Cell, error) {
	if v.Length <= segmentSize {
		return nil, nil
	}
	_, _ = v.Hive.Storage(Stable) // for the version; a cell that is read reports the error
	if v.Hive.minorErr == nil && v.Hive.minor < segmentedMinor {
		return nil, nil
	}
	b, addr, _, err := v.Hive.cell(v.DataCell, 8)
	if err != nil {
		return nil, v.Hive.damage(v.DataCell, addr, fmt.Sprintf("data of value %q", v.Name), err)
	}
	count, list, err := bigData(b)
	if err != nil {
		if v.Hive.minorErr != nil {
			return nil, nil // the version is not known: data in one cell
		}
		return nil, v.Hive.damage(v.DataCell, addr, fmt.Sprintf("data of value %q", v.Name), err)
	}
	b, addr, _, err = v.Hive.cell(list, min(4*int(count), maxSegmentCells))
	cells, perr := cellList(b, count)
	if err == nil {
		err = perr
	}
	if err != nil && len(cells) == 0 {
		return nil, v.Hive.damage(list, addr, fmt.Sprintf("segments of value %q", v.Name), err)
	}
	return cells, nil
}

// joined reads data in segments.
func (v *Value) joined(cells []Cell) ([]byte, error) {
	var data []byte
	for _, c := range cells {
		left := int64(v.Length) - int64(len(data))
		if left <= 0 {
			break
		}
		if len(data) >= maxData {
			return data, v.damage(fmt.Errorf("only the first %d of %d bytes were read", len(data), v.Length))
		}
		b, addr, size, err := v.Hive.cell(c, int(min(left, segmentSize)))
		if err == nil && int64(size) < min(left, segmentSize) {
			err = fmt.Errorf("a segment of %d bytes", size)
		}
		data = append(data, b...)
		if err != nil {
			return data, v.Hive.damage(c, addr, fmt.Sprintf("segment of value %q", v.Name), err)
		}
	}
	if int64(len(data)) < int64(v.Length) {
		return data, v.damage(fmt.Errorf("its segments hold %d of %d bytes", len(data), v.Length))
	}
	return data, nil
}

func (v *Value) damage(err error) error {
	return v.Hive.damage(v.Cell, v.Addr, fmt.Sprintf("data of value %q", v.Name), err)
}

// Text decodes the data of a string value: UTF-16 without the NULs at its end.
// Half a character at the end becomes U+FFFD.
func Text(b []byte) string {
	s := strings.TrimRight(types.UTF16(b), "\x00")
	if len(b)%2 != 0 {
		s = types.UTF16(b) + "\ufffd"
	}
	return s
}

// Texts decodes the data of a REG_MULTI_SZ: strings that end with a NUL, and a
// last empty one as the end mark.
func Texts(b []byte) []string {
	s := types.UTF16(b)
	if len(b)%2 != 0 {
		s += "\ufffd"
	}
	if s == "" {
		return nil
	}
	all := strings.Split(strings.TrimSuffix(s, "\x00"), "\x00")
	if len(all) > 1 && all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}

// Number decodes the data of a number type; false when the type is none or the
// data has another size.
func Number(t ValueType, b []byte) (uint64, bool) {
	switch {
	case t == Dword && len(b) == 4:
		return uint64(binary.LittleEndian.Uint32(b)), true
	case t == Qword && len(b) == 8:
		return binary.LittleEndian.Uint64(b), true
	}
	return 0, false
}
