package list

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"

	"kdap/engine/windows"
)

// Formats are the forms a listing can be written in.
var Formats = []string{"table", "json", "jsonl", "csv"}

// DumpInfo names the dump in front of a JSON listing.
type DumpInfo struct {
	Path string `json:"path"`
	Type string `json:"type"`
}

// Write writes a listing as it is read. It returns what ended enumerations
// early; the error is the writer's or the context's.
func Write(ctx context.Context, w io.Writer, format string, k Kind, sys *windows.System, f Filter) ([]Error, error) {
	bw := bufio.NewWriter(w)
	e, err := newEncoder(bw, format, k, DumpInfo{sys.Dump().Path(), dumpType(sys)})
	if err != nil {
		return nil, err
	}
	var errs []Error
	for v, err := range k.Each(ctx, sys, f) {
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			errs = append(errs, Error{Where: k.Name, Why: err.Error()})
			continue
		}
		if err := e.entry(v); err != nil {
			return errs, err
		}
	}
	if err := e.end(errs); err != nil {
		return errs, err
	}
	if err := bw.Flush(); err != nil {
		return errs, err
	}
	return errs, ctx.Err()
}

// An encoder writes entries one after the other.
type encoder interface {
	entry(v any) error
	end(errs []Error) error
}

func newEncoder(w *bufio.Writer, format string, k Kind, info DumpInfo) (encoder, error) {
	switch format {
	case "json":
		return newJSON(w, k, info)
	case "jsonl":
		return &linesEncoder{json.NewEncoder(w)}, nil
	case "csv":
		c := csv.NewWriter(w)
		return &rowsEncoder{entryType: k.entry, row: c.Write, flush: func() error { c.Flush(); return c.Error() }}, nil
	case "table":
		t := &tableWriter{w: w}
		return &rowsEncoder{entryType: k.entry, row: t.row, flush: t.flush, visible: true}, nil
	}
	return nil, fmt.Errorf("unknown format %q: one of %s", format, strings.Join(Formats, ", "))
}

// jsonEncoder writes {"schema":1,"dump":{…},KIND:[…],"errors":[…]} without
// keeping the entries.
type jsonEncoder struct {
	w     *bufio.Writer
	one   bool
	count int
}

func newJSON(w *bufio.Writer, k Kind, info DumpInfo) (encoder, error) {
	d, err := json.Marshal(info)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(w, "{\"schema\":%d,\"dump\":%s,%q:", Schema, d, k.Name)
	if !k.One {
		w.WriteString("[")
	}
	return &jsonEncoder{w: w, one: k.One}, nil
}

func (e *jsonEncoder) entry(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if !e.one {
		if e.count > 0 {
			e.w.WriteByte(',')
		}
		e.w.WriteByte('\n')
	}
	e.count++
	_, err = e.w.Write(b)
	return err
}

func (e *jsonEncoder) end(errs []Error) error {
	if errs == nil {
		errs = []Error{}
	}
	b, err := json.Marshal(errs)
	if err != nil {
		return err
	}
	if e.one {
		if e.count == 0 {
			e.w.WriteString("null")
		}
	} else {
		e.w.WriteString("\n]")
	}
	_, err = fmt.Fprintf(e.w, ",\"errors\":%s}\n", b)
	return err
}

type linesEncoder struct{ enc *json.Encoder }

func (e *linesEncoder) entry(v any) error { return e.enc.Encode(v) }
func (e *linesEncoder) end([]Error) error { return nil }

// rowsEncoder writes one row an entry, the JSON names as the first.
type rowsEncoder struct {
	entryType reflect.Type
	row       func([]string) error
	flush     func() error
	visible   bool // make control characters visible
	started   bool
	omitZero  []bool // by column
}

func (e *rowsEncoder) start() error {
	if e.started {
		return nil
	}
	e.started = true
	var names []string
	for i := range e.entryType.NumField() {
		f := e.entryType.Field(i)
		names = append(names, jsonName(f))
		e.omitZero = append(e.omitZero, strings.HasSuffix(f.Tag.Get("json"), ",omitzero"))
	}
	return e.row(names)
}

func (e *rowsEncoder) entry(v any) error {
	if err := e.start(); err != nil {
		return err
	}
	rv := reflect.ValueOf(v)
	cells := make([]string, rv.NumField())
	for i := range cells {
		if e.omitZero[i] && rv.Field(i).IsZero() {
			continue
		}
		cells[i] = cell(rv.Field(i))
		if e.visible {
			cells[i] = Visible(cells[i])
		}
	}
	return e.row(cells)
}

func (e *rowsEncoder) end([]Error) error {
	if err := e.start(); err != nil {
		return err
	}
	return e.flush()
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// cell spells one value: plain values as in JSON without quotes, others as JSON.
func cell(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	switch x := v.Interface().(type) {
	case fmt.Stringer:
		return x.String()
	case string:
		return x
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		if v.Len() == 0 {
			return ""
		}
		fallthrough
	case reflect.Struct, reflect.Array:
		b, err := json.Marshal(v.Interface())
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	return fmt.Sprint(v.Interface())
}

// Visible makes control characters of a text from the dump visible: a
// terminal would obey them.
func Visible(s string) string {
	if !strings.ContainsFunc(s, isControl) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if isControl(r) {
			fmt.Fprintf(&b, "\\x%02x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x202e }

// dumpType names the type of the dump.
func dumpType(sys *windows.System) string {
	if u := sys.User(); u != nil {
		return u.File().StatusText()
	}
	return sys.Dump().Type().String()
}
