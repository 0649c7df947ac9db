package command

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/types"
	"kdap/engine/windows/registry"
)

// regLine prints a member of a structure; one the build's type does not have
// is left out, one that cannot be read is told.
func (s *Session) regLine(label, form string, o types.Object) {
	if o.Err() != nil {
		return
	}
	v, err := o.Uint()
	if err != nil {
		s.notef("%s: %v", label, err)
		s.printf("%-17s: ????????\n", label)
		return
	}
	s.printf("%-17s: "+form+"\n", label, v)
}

// kcbFlagNames are the flags of a key that !reg kcb names; it has no word for
// "no delete", which every root of a hive has.
var kcbFlagNames = maskNames{
	{registry.KeyVolatile, "Volatile"},
	{registry.KeyHiveExit, "HiveExit"},
	{registry.KeyHiveEntry, "HiveRootKey"},
	{registry.KeySymLink, "SymbolicLink"},
	{registry.KeyCompressed, "CompressedName"},
}

func commaNames(names []string) string {
	var out strings.Builder
	for _, n := range names {
		out.WriteString(n + ", ")
	}
	return out.String()
}

func regKCB(_ context.Context, s *Session, r *registry.Registry, c *Call) error {
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	b := r.ControlBlock(addr)
	o := b.Object()
	flags, err := b.Flags()
	if err != nil {
		s.notef("%v", err)
		return Failf("Could not read the key control block at %016x", addr)
	}
	path, err := b.Path()
	if err != nil {
		s.notef("%v", err)
	}
	s.printf("\n%-17s: %s\n", "Key", visible(path))
	s.regLine("RefCount", "0x%016x", o.Field("RefCount"))
	s.printf("%-17s: %s\n", "Flags", commaNames(kcbFlagNames.names(flags&^registry.KeyNoDelete)))
	s.printf("%-17s: %s\n", "ExtFlags", s.kcbExtFlags(o))
	s.regLine("Parent", "0x%016x", o.Field("ParentKcb"))
	s.regLine("KeyHive", "0x%016x", o.FirstField("KeyHash.KeyHive", "KeyHive"))
	s.regLine("KeyCell", "0x%x [cell index]", o.FirstField("KeyHash.KeyCell", "KeyCell"))
	s.regLine("TotalLevels", "%d", o.Field("TotalLevels"))
	s.regLine("LayerHeight", "%d", o.Field("LayerHeight"))
	s.regLine("MaxNameLen", "0x%x", o.Field("KcbMaxNameLen"))
	s.regLine("MaxValueNameLen", "0x%x", o.Field("KcbMaxValueNameLen"))
	s.regLine("MaxValueDataLen", "0x%x", o.Field("KcbMaxValueDataLen"))
	if v, err := o.FirstField("KcbLastWriteTime.QuadPart", "KcbLastWriteTime").Uint(); err == nil {
		s.printf("%-17s: 0x%8x:0x%08x\n", "LastWriteTime", v>>32, uint32(v))
	}
	list := o.Field("KeyBodyListHead")
	flink, err := list.Field("Flink").Uint()
	blink, berr := list.Field("Blink").Uint()
	if err == nil && berr == nil {
		s.printf("%-17s: 0x%016x 0x%016x\n", "KeyBodyListHead", flink, blink)
	}
	s.regLine("SubKeyCount", "%d", o.Field("SubKeyCount"))
	s.regLine("Owner", "0x%016x", o.Field("Owner"))
	for _, lock := range []string{"KCBLock", "KeyLock"} {
		if l := o.Field(lock); l.Err() == nil {
			s.printf("%-17s: 0x%016x\n", lock, l.Addr())
		}
	}
	return nil
}

// kcbExtFlags names the bits beside ExtFlags that are set.
func (s *Session) kcbExtFlags(o types.Object) string {
	var names []string
	for _, bit := range []string{"Freed", "Discarded", "HiveUnloaded", "Decommissioned"} {
		if v, err := o.Field(bit).Uint(); err == nil && v != 0 {
			names = append(names, bit)
		}
	}
	return commaNames(names)
}

func regNode(_ context.Context, s *Session, r *registry.Registry, c *Call) error {
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	n, err := r.NodeAt(addr)
	if err != nil {
		s.notef("%v", err)
		return Failf("Could not read the key node at %016x", addr)
	}
	s.printf("\nSignature: CM_KEY_NODE_SIGNATURE (kn)\n")
	line := func(label, form string, v ...any) { s.printf("%-21s: "+form+"\n", append([]any{label}, v...)...) }
	line("Name", "%s", visible(n.Name))
	line("ParentCell", "0x%x", uint32(n.Parent))
	line("Security", "0x%x [cell index]", uint32(n.Security))
	line("Class", "0x%x [cell index]", uint32(n.Class))
	line("Flags", "0x%x", n.Flags)
	line("MaxNameLen", "0x%x", n.MaxNameLen)
	line("MaxClassLen", "0x%x", n.MaxClassLen)
	line("MaxValueNameLen", "0x%x", n.MaxValueNameLen)
	line("MaxValueDataLen", "0x%x", n.MaxValueDataLen)
	written := n.WriteTime()
	line("LastWriteTime", "0x%8x:0x%08x", written>>32, uint32(written))
	if n.Flags&registry.KeyHiveExit != 0 {
		h := s.sys.Struct("_CM_KEY_NODE", addr).In(r.Space()).Field("ChildHiveReference")
		hive, herr := h.Field("KeyHive").Uint()
		cell, cerr := h.Field("KeyCell").Uint()
		if herr == nil && cerr == nil {
			line("ChildHiveReference", "KeyHive 0x%016x KeyCell 0x%x", hive, cell)
		}
		return nil
	}
	line("SubKeyCount[Stable  ]", "0x%x", n.Counts[0])
	line("SubKeyLists[Stable  ]", "0x%x", uint32(n.Lists[0]))
	line("SubKeyCount[Volatile]", "0x%x", n.Counts[1])
	line("SubKeyLists[Volatile]", "0x%x", uint32(n.Lists[1]))
	line("ValueList.Count", "0x%x", n.ValueCount)
	line("ValueList.List", "0x%x", uint32(n.ValueList))
	return nil
}

// keyBodyType is the Type of a _CM_KEY_BODY: "ky02".
const keyBodyType = 0x6b793032

func regBody(_ context.Context, s *Session, r *registry.Registry, c *Call) error {
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	o := s.sys.Struct("_CM_KEY_BODY", addr)
	kind, err := o.Field("Type").Uint()
	if err != nil {
		s.notef("%v", err)
		return Failf("Could not read the key body at %016x", addr)
	}
	s.printf("\n")
	if kind == keyBodyType {
		s.printf("%-17s: KEY_BODY_TYPE\n", "Type")
	} else {
		s.printf("%-17s: 0x%x (not a key body)\n", "Type", kind)
	}
	s.regLine("KCB", "%016x", o.Field("KeyControlBlock"))
	s.regLine("NotifyBlock", "%016x", o.Field("NotifyBlock"))
	s.regLine("ProcessID", "%x", o.Field("ProcessID"))
	flink, err := o.Field("KeyBodyList.Flink").Uint()
	blink, berr := o.Field("KeyBodyList.Blink").Uint()
	if err == nil && berr == nil {
		s.printf("%-17s: %016x %016x\n", "KeyBodyList", flink, blink)
	}
	if kcb, err := o.Field("KeyControlBlock").Uint(); err == nil && kcb != 0 {
		path, err := r.ControlBlock(kcb).Path()
		if err != nil {
			s.notef("%v", err)
		}
		s.printf("%-17s: %s\n", "Key", visible(path))
	}
	return nil
}

func regValue(_ context.Context, s *Session, r *registry.Registry, c *Call) error {
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	v, err := r.ValueAt(addr)
	if err != nil {
		s.notef("%v", err)
		return Failf("Could not read the value at %016x", addr)
	}
	name := v.Name
	if v.NameLength == 0 {
		name = "<nameless value>"
	}
	s.printf("\nSignature: CM_KEY_VALUE_SIGNATURE (kv)\n")
	s.printf("Name      : %s\n", visible(name))
	if v.Inline {
		s.printf("DataLength: %x (in the value itself)\n", v.Length)
		s.printf("Data      : %x\n", uint32(v.DataCell))
	} else {
		s.printf("DataLength: %x\n", v.Length)
		s.printf("Data      : %x [cell index]\n", uint32(v.DataCell))
	}
	s.printf("Type      : %x (%s)\n", uint32(v.Type), v.Type)
	return nil
}

func regBaseBlock(_ context.Context, s *Session, r *registry.Registry, c *Call) error {
	h, err := s.regHive(r, c)
	if err != nil {
		return err
	}
	o := h.Base()
	name, err := h.FileName()
	if err != nil {
		s.notef("%v", err)
		return Failf("Could not read the base block of %016x", h.Addr())
	}
	named := func(field string, names map[uint64]string) string {
		v, err := o.Field(field).Uint()
		if err != nil {
			return notAccessible
		}
		if n, ok := names[v]; ok {
			return n
		}
		return fmt.Sprintf("%#x", v)
	}
	s.printf("\nFileName :  %s\n", visible(name))
	s.printf("Signature:  %s\n", named("Signature", map[uint64]string{0x66676572: "HBASE_BLOCK_SIGNATURE"}))
	for _, f := range []string{"Sequence1", "Sequence2", "TimeStamp", "Major", "Minor"} {
		s.baseLine(o, f)
	}
	s.printf("%-9s:  %s\n", "Type", named("Type", map[uint64]string{0: "HFILE_TYPE_PRIMARY", 1: "HFILE_TYPE_LOG"}))
	s.printf("%-9s:  %s\n", "Format", named("Format", map[uint64]string{1: "HBASE_FORMAT_MEMORY"}))
	for _, f := range []string{"RootCell", "Length", "Cluster", "CheckSum"} {
		s.baseLine(o, f)
	}
	if want, err := h.CheckSum(); err == nil {
		if got, err := o.Field("CheckSum").Uint(); err == nil && got != uint64(want) {
			s.notef("the base block's bytes have the checksum %x: in memory it is only kept up to date when the hive is written", want)
		}
	}
	return nil
}

func (s *Session) baseLine(o types.Object, field string) {
	v, err := o.FirstField(field+".QuadPart", field).Uint()
	if err != nil {
		s.printf("%-9s:  %s\n", field, notAccessible)
		return
	}
	s.printf("%-9s:  %x\n", field, v)
}

func regSecurityCache(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	h, err := s.regHive(r, c)
	if err != nil {
		return err
	}
	o := h.Object()
	cache, err := o.Field("SecurityCache").Uint()
	count, cerr := o.Field("SecurityCount").Uint()
	size, serr := o.Field("SecurityCacheSize").Uint()
	if err != nil || cerr != nil || serr != nil {
		return Failf("Could not read the security cache of %016x", h.Addr())
	}
	s.printf("\n%-17s = 0x%016x\n%-17s = 0x%x\n%-17s = 0x%x\n", "SecurityCache", cache, "SecurityCount", count, "SecurityCacheSize", size)
	if hint, err := o.Field("SecurityHitHint").Uint(); err == nil {
		s.printf("%-17s = 0x%x\n", "SecurityHitHint", hint)
	}
	if cache == 0 {
		return nil
	}
	s.printf("\n[Entry No.] [Security Cell] [  Security Cache  ]\n")
	entry := s.sys.Struct("_CM_KEY_SECURITY_CACHE_ENTRY", cache)
	for i := range min(count, size, registry.MaxSecurity) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		e := entry.At(cache+i*entry.Type().Size, entry.Type())
		cell, err := e.Field("Cell").Uint()
		at, aerr := e.Field("CachedSecurity").Uint()
		if err != nil || aerr != nil {
			s.notef("security cache, entry %d: %v", i, err)
			break
		}
		s.printf("[%8d ] 0x%08x      0x%016x\n", i, cell, at)
	}
	return nil
}
