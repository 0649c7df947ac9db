package dumptest

import (
	"slices"
	"strings"
	"time"
)

// The registry of a machine: hives in the order they are loaded, below a
// master hive that holds \REGISTRY and a way into each of them. Structures of
// the kernel come from layout/registry.types, cells from the hive file format.
type registryMaker struct {
	process *Process // that hives are mapped into
	views   uint64   // next address there
	hives   []*Hive
	opened  []*HiveKey
	names   map[string]uint64 // name control blocks
}

const (
	hiveSignature    = 0xbee0bee0
	registryRoot     = `\REGISTRY`
	baseBlockName    = 31 // characters of the file's name that fit
	firstView        = 0x1d46c000000
	hiveSectors      = 512
	formatMinor      = 5
	defaultKCBSlots  = 32
	globalKCBSlots   = 256
	keyBodyMagic     = 0x6b793032
	registryLifetime = 70 * time.Minute
)

// RegistryProcess is the process that hives are mapped into. A process of
// kernel mode that is called Registry is taken, else one is made.
func (m *Machine) RegistryProcess() *Process {
	for _, p := range m.processes {
		if m.registry.process == nil && p.opt.Name == "Registry" && p.opt.Image == "" {
			m.registry.process = p
		}
	}
	if m.registry.process == nil {
		m.registry.process = m.AddProcess(ProcessOptions{PPID: 4, Name: "Registry", Session: -1, Age: registryLifetime})
	}
	return m.registry.process
}

// AddHive loads a hive.
func (m *Machine) AddHive(opt HiveOptions) *Hive {
	r := &m.registry
	if len(r.hives) == 0 && !strings.EqualFold(opt.Mount, registryRoot) {
		m.AddHive(HiveOptions{Mount: registryRoot, Pool: true})
	}
	if r.views == 0 {
		r.views = firstView
	}
	if m.opts.Relative == "older" {
		opt.Pool = true // no hive was mapped yet
	}
	if opt.Root == "" && len(r.hives) == 0 {
		opt.Root = strings.TrimPrefix(registryRoot, `\`)
	} else if opt.Root == "" {
		opt.Root = "ROOT"
	}
	if opt.Minor == 0 {
		opt.Minor = formatMinor
	}
	if opt.Buckets == 0 {
		opt.Buckets = defaultKCBSlots
	}
	if opt.Name == "" {
		name := []rune(opt.File)
		opt.Name = string(name[max(0, len(name)-baseBlockName):])
	}
	h := &Hive{m: m, opt: opt, va: opt.Addr, base: opt.BaseBlock}
	size := m.l.size("_CMHIVE")
	if h.va == 0 {
		m.paged = roundUp(m.paged, pageSize)
		h.va = m.allocPaged(size)
	}
	m.Kernel.MapNew(h.va, uint64(size), ReadWrite)
	if h.base == 0 {
		m.paged = roundUp(m.paged, pageSize)
		h.base = m.allocPaged(pageSize)
	}
	m.Kernel.MapNew(h.base, pageSize, ReadWrite)
	h.stores = [2]*hiveStore{{h: h}, {h: h, bit: volatileBit}}
	h.root = &HiveKey{hive: h, name: opt.Root, time: Filetime(SystemTime.Add(-registryLifetime))}
	if len(r.hives) > 0 {
		h.exit = m.mount(h)
	}
	r.hives = append(r.hives, h)
	return h
}

// mount makes the way from the master hive into another one.
func (m *Machine) mount(h *Hive) *HiveKey {
	master := m.registry.hives[0]
	below := strings.TrimPrefix(h.opt.Mount, registryRoot+`\`)
	if below == h.opt.Mount {
		panic("dumptest: " + h.opt.Mount + " is not below " + registryRoot)
	}
	exit := master.Key(below)
	exit.target = h
	return exit
}

// finishRegistry lays out the hives and the open keys, and writes the
// configuration manager's variables.
func (m *Machine) finishRegistry() {
	k, r := m.Kernel, &m.registry
	for _, name := range []string{
		"CmpMasterHive", "CmpRegistryProcess", "CmpCacheTable", "PoolBigPageTable", "PoolBigPageTableSize", "WmipSMBiosTablePhysicalAddress",
	} {
		k.U64(m.sym(name), 0)
	}
	for _, name := range []string{"CmpHashTableSize", "WmipSMBiosTableLength", "WmipSMBiosVersionInfo"} {
		k.U32(m.sym(name), 0)
	}
	k.link(m.sym("CmpRmListHead"))
	k.U64(m.sym("CmKeyObjectType"), m.types["Key"])

	cells := make([][]plannedCell, len(r.hives))
	for i, h := range r.hives {
		cells[i] = h.layout()
		h.stores[0].place(h.opt.Pool, h.opt.Base)
		h.stores[1].place(true, 0)
	}
	var links []uint64
	for i, h := range r.hives {
		for _, c := range cells[i] {
			c.store.put(c.off, c.render())
		}
		h.finish()
		links = append(links, h.va+uint64(m.l.offset("_CMHIVE", "HiveList")))
	}
	k.link(m.sym("CmpHiveListHead"), links...)
	m.finishOpenKeys()
	if len(r.hives) > 0 {
		k.U64(m.sym("CmpMasterHive"), r.hives[0].va)
	}
	if r.process != nil {
		k.U64(m.sym("CmpRegistryProcess"), r.process.va)
	}
	for _, h := range r.hives {
		m.truth.Hives = append(m.truth.Hives, h.truth())
	}
}

// finish writes the hive's structures.
func (h *Hive) finish() {
	m := h.m
	o := m.Kernel.obj("_CMHIVE", h.va)
	o.set("Hive.Signature", hiveSignature).set("Hive.BaseBlock", h.base).set("Hive.Version", uint64(h.opt.Minor))
	o.set("Hive.Cluster", 1).set("Hive.StorageTypeCount", 2)
	h.stores[0].writeMap("Hive.Storage[0]", h.opt.Maps[0])
	h.stores[1].writeMap("Hive.Storage[1]", h.opt.Maps[1])
	h.writeDirty(o)
	h.writeFreeBins(o)
	if h.opt.File != "" {
		m.poolString(o, "FileFullPath", h.opt.File)
		m.poolString(o, "FileUserName", h.opt.File)
	}
	if h.exit != nil {
		m.poolString(o, "HiveRootPath", h.opt.Mount)
	}
	size := m.l.size("_CM_KEY_SECURITY_CACHE")
	entry, cached := m.allocPaged(m.l.size("_CM_KEY_SECURITY_CACHE_ENTRY")), m.allocPaged(size)
	m.Kernel.obj("_CM_KEY_SECURITY_CACHE_ENTRY", entry).set("Cell", uint64(h.security)).set("CachedSecurity", cached)
	c := m.Kernel.obj("_CM_KEY_SECURITY_CACHE", cached).set("Cell", uint64(h.security)).set("RealRefCount", uint64(h.keys))
	m.Kernel.link(c.addr("List"))
	o.set("SecurityCount", 1).set("SecurityCacheSize", 1).set("SecurityCache", entry)
	h.writeBase()
}

// writeBase writes the base block, the header of the hive's file.
func (h *Hive) writeBase() {
	k := h.m.Kernel
	b := k.obj("_HBASE_BLOCK", h.base)
	k.Write(h.base, []byte("regf"))
	b.set("Sequence1", 0x91).set("Sequence2", 0x91).set("TimeStamp.QuadPart", h.root.time)
	b.set("Major", 1).set("Minor", uint64(h.opt.Minor)).set("Format", 1).set("RootCell", rootCell)
	b.set("Length", uint64(h.stores[0].end())).set("Cluster", 1)
	k.UTF16(b.addr("FileName"), h.opt.Name)
	sum := uint32(0)
	raw := k.Read(h.base, 0x1fc)
	for i := 0; i < len(raw); i += 4 {
		sum ^= le.Uint32(raw[i:])
	}
	b.set("CheckSum", uint64(sum))
}

func (h *Hive) writeDirty(o object) {
	sectors := h.stores[0].end() / hiveSectors
	bits := make([]byte, (sectors+31)/32*4)
	for _, s := range h.opt.Dirty {
		bits[s/8] |= 1 << (s % 8)
	}
	at := h.m.allocPaged(max(len(bits), 8))
	h.m.Kernel.Write(at, bits)
	o.set("Hive.DirtyVector.SizeOfBitMap", uint64(sectors)).set("Hive.DirtyVector.Buffer", at)
	o.set("Hive.DirtyCount", uint64(len(h.opt.Dirty)))
}

func (h *Hive) writeFreeBins(o object) {
	var links []uint64
	for _, f := range h.opt.FreeBins {
		at := h.m.allocPaged(0x20) // links, then three dwords
		h.m.Kernel.U32(at+0x10, f.Size)
		h.m.Kernel.U32(at+0x14, f.FileOffset)
		h.m.Kernel.U32(at+0x18, f.Flags)
		links = append(links, at)
	}
	h.m.Kernel.link(o.addr("Hive.Storage[0].FreeBins"), links...)
}

// truth tells what the finished hive holds.
func (h *Hive) truth() TruthHive {
	t := TruthHive{Addr: h.va, Mount: h.opt.Mount, File: h.opt.File, BaseBlock: h.base, Stable: h.stores[0].end(), Volatile: h.stores[1].end()}
	h.root.walk(func(k *HiveKey) {
		key := TruthKey{Path: k.Path(), Cell: k.Cell(), Node: k.NodeAddr(), ControlBlock: k.kcb, Class: k.class, Written: k.time, Exit: k.target != nil}
		for _, v := range k.values {
			key.Values = append(key.Values, TruthValue{v.name, v.typ, slices.Clone(v.data)})
		}
		t.Keys = append(t.Keys, key)
	})
	return t
}
