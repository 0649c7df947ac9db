package dumptest

import (
	"slices"
	"strings"
)

// Open gives the key a control block at an address (0: any), as a key has that
// somebody holds open. The keys above it get one, too.
func (k *HiveKey) Open(at uint64) *HiveKey {
	m := k.hive.m
	if k.kcb != 0 {
		if at != 0 && at != k.kcb {
			panic("dumptest: " + k.Path() + " is open elsewhere")
		}
		return k
	}
	size := m.l.size("_CM_KEY_CONTROL_BLOCK")
	if k.kcb = at; at == 0 {
		k.kcb = m.allocPaged(size)
	}
	m.Kernel.MapNew(k.kcb, uint64(size), ReadWrite)
	m.registry.opened = append(m.registry.opened, k)
	return k
}

// above is the key whose control block is the parent's.
func (k *HiveKey) above() *HiveKey {
	if k.parent == nil {
		return k.hive.exit
	}
	return k.parent
}

// AddKeyHandle gives the process a handle to a key, which opens it.
func (p *Process) AddKeyHandle(k *HiveKey, access uint32) uint64 {
	k.Open(0)
	body := p.m.newObject("Key", p.m.l.size("_CM_KEY_BODY"), "", 0)
	o := p.m.Kernel.obj("_CM_KEY_BODY", body).set("Type", keyBodyMagic).set("KeyControlBlock", k.kcb).set("ProcessID", uint64(p.pid))
	p.m.Kernel.link(o.addr("KeyBodyList"))
	k.bodies = append(k.bodies, body)
	v := p.AddHandle(body, access, 0)
	p.truth.Handles[len(p.truth.Handles)-1].Name = strings.ToUpper(k.Path())
	return v
}

// finishOpenKeys writes the control blocks and the tables they are found by.
func (m *Machine) finishOpenKeys() {
	r := &m.registry
	for _, h := range r.hives {
		h.root.Open(0)
	}
	for i := 0; i < len(r.opened); i++ { // it grows
		if up := r.opened[i].above(); up != nil {
			up.Open(0)
			up.opened++
		}
	}
	global := !m.l.has("_CMHIVE", "KcbCacheTable")
	for _, h := range r.hives {
		if !global {
			h.table = m.newKeyTable(h.opt.Buckets)
			m.Kernel.obj("_CMHIVE", h.va).set("KcbCacheTable", h.table).set("KcbCacheTableSize", uint64(h.opt.Buckets))
		}
		m.Kernel.obj("_CMHIVE", h.va).set("RootKcb", h.root.kcb)
	}
	all := uint64(0)
	if global && len(r.hives) > 0 {
		all = m.newKeyTable(globalKCBSlots)
		m.Kernel.U64(m.sym("CmpCacheTable"), all)
		m.Kernel.U32(m.sym("CmpHashTableSize"), globalKCBSlots)
	}
	for _, k := range slices.Backward(r.opened) { // what was opened first stands first
		k.writeControlBlock()
		if global {
			k.enter(all, globalKCBSlots)
		} else {
			k.enter(k.hive.table, k.hive.opt.Buckets)
		}
	}
}

func (all layoutSet) has(typ, field string) bool {
	_, _, err := all.lookup(typ, field)
	return err == nil
}

func (m *Machine) newKeyTable(slots int) uint64 {
	return m.allocPaged(slots * m.l.size("_CM_KEY_HASH_TABLE_ENTRY"))
}

// enter puts the control block at the head of its bucket.
func (k *HiveKey) enter(table uint64, slots int) {
	m := k.hive.m
	h := k.pathHash()
	// 101027 spreads the hash, 9 is how far it is folded: published lists of
	// open keys come out with these, and with no others.
	mixed := (h ^ h>>9) * 101027
	bucket := uint64(mixed^mixed>>9) % uint64(slots)
	e := m.Kernel.obj("_CM_KEY_HASH_TABLE_ENTRY", table+bucket*uint64(m.l.size("_CM_KEY_HASH_TABLE_ENTRY")))
	o := m.Kernel.obj("_CM_KEY_CONTROL_BLOCK", k.kcb)
	o.set("KeyHash.NextHash", e.get("Entry"))
	e.set("Entry", o.addr("KeyHash"))
}

// pathHash is the hash of the path below the hive, in kernels with one table
// of that below \.
func (k *HiveKey) pathHash() (h uint32) {
	path := strings.TrimPrefix(k.Path(), k.hive.opt.Mount)
	if !k.hive.m.l.has("_CMHIVE", "KcbCacheTable") {
		path = k.Path()
	}
	for name := range strings.SplitSeq(path, `\`) {
		if name != "" {
			h = 37*h + nameHash(name)
		}
	}
	return h
}

func (k *HiveKey) writeControlBlock() {
	m := k.hive.m
	o := m.Kernel.obj("_CM_KEY_CONTROL_BLOCK", k.kcb)
	o.set("KeyHash.ConvKey.Hash", uint64(k.pathHash())).set("KeyHash.KeyHive", k.hive.va).set("KeyHash.KeyCell", uint64(k.Cell()))
	o.set("RefCount", uint64(k.opened+len(k.bodies)+1)).set("NameBlock", m.nameBlock(k.name))
	levels := uint64(1)
	if up := k.above(); up != nil {
		o.set("ParentKcb", up.kcb)
		levels = uint64(strings.Count(k.Path(), `\`))
	}
	o.set("TotalLevels", levels).set("KcbLastWriteTime.QuadPart", k.time).set("SubKeyCount", uint64(len(k.subs)))
	_, compressed := cellText(k.name)
	o.set("Flags", uint64(k.nodeFlags(compressed)))
	most := k.longest()
	o.set("KcbMaxNameLen", uint64(most[0])).set("KcbMaxValueNameLen", uint64(most[2])).set("KcbMaxValueDataLen", uint64(most[3]))
	var links []uint64
	for i, body := range k.bodies {
		if i < 4 {
			m.Kernel.U64(o.addr("KeyBodyArray")+8*uint64(i), body)
			continue
		}
		links = append(links, body+uint64(m.l.offset("_CM_KEY_BODY", "KeyBodyList")))
	}
	m.Kernel.link(o.addr("KeyBodyListHead"), links...)
}

// nameBlock is the name control block that all keys of a name share.
func (m *Machine) nameBlock(name string) uint64 {
	name = strings.ToUpper(name)
	if at := m.registry.names[name]; at != 0 {
		o := m.Kernel.obj("_CM_NAME_CONTROL_BLOCK", at)
		o.set("RefCount", o.get("RefCount")+1)
		return at
	}
	text, compressed := cellText(name)
	off := m.l.offset("_CM_NAME_CONTROL_BLOCK", "Name")
	at := m.allocPaged(max(off+len(text), m.l.size("_CM_NAME_CONTROL_BLOCK")))
	o := m.Kernel.obj("_CM_NAME_CONTROL_BLOCK", at).set("RefCount", 1).set("NameLength", uint64(len(text))).set("ConvKey", uint64(nameHash(name)))
	if compressed {
		o.set("Compressed", 1)
	}
	m.Kernel.Write(at+uint64(off), text)
	if m.registry.names == nil {
		m.registry.names = map[string]uint64{}
	}
	m.registry.names[name] = at
	return at
}
