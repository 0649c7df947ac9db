package command

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"kdap/engine/types"
	"kdap/engine/windows/registry"
)

func regValueList(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	k, err := s.regKey(r, c)
	if err != nil {
		return err
	}
	s.printf("\n")
	return s.showValues(ctx, k)
}

func (s *Session) showValues(ctx context.Context, k *registry.Key) error {
	g := gaps{s: s}
	defer g.end()
	s.printf("%-20s%-30s%s\n", "[ValueType]", "[ValueName]", "[ValueData]")
	count := 0
	for v, err := range k.Values(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		count++
		if err != nil {
			g.add(err)
			s.printf("%-20s\n", unknownText)
			continue
		}
		name := v.Name
		if v.NameLength == 0 {
			name = "<nameless value>"
		}
		data, err := v.Data()
		if err != nil {
			g.add(err)
		}
		at, err := v.DataAddr()
		if err != nil {
			g.add(err)
		}
		s.printf("%-20s%-30s%s\n", v.Type, visible(name), regData(v.Type, data, at))
	}
	if count == 0 {
		s.printf(" Key has no Values\n")
	}
	return nil
}

// regData spells data as its type says, and bytes where it has another size.
// The layouts of the common types are published; those of REG_NONE, of
// big-endian numbers and of types without a name are ours.
func regData(t registry.ValueType, b []byte, at uint64) string {
	if n, ok := registry.Number(t, b); ok {
		return fmt.Sprintf("%x", n)
	}
	switch t {
	case registry.String, registry.ExpandString, registry.Link:
		return visible(registry.Text(b))
	case registry.MultiString:
		return visible(strings.ReplaceAll(types.UTF16(b), "\x00", `\0`))
	case registry.DwordBigEndian:
		if len(b) == 4 {
			return fmt.Sprintf("%x", binary.BigEndian.Uint32(b))
		}
	case registry.Binary:
		return fmt.Sprintf("0x%X - ", at) + regBytes(b)
	}
	return regBytes(b)
}

func regBytes(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		fmt.Fprintf(&out, "%02x ", c)
	}
	return out.String()
}
