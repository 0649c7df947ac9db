package dumptest

import (
	"cmp"
	"slices"
)

// A vad is a range of a process's address space, before its tree is built.
type vad struct {
	start, size uint64
	prot        Prot
	kind        string // private, image, mapped
	file        string
	commit      uint64              // pages; 0: what is mapped
	view        func(protos uint64) // fills a mapped view's prototype entries
}

func (p *Process) addVad(v vad) { p.vads = append(p.vads, v) }

// finishVads writes the tree, balanced, and the sums that depend on it.
func (p *Process) finishVads() {
	slices.SortFunc(p.vads, func(a, b vad) int { return cmp.Compare(a.start, b.start) })
	nodes := make([]uint64, len(p.vads))
	private, size := uint64(0), uint64(0)
	for i, v := range p.vads {
		if v.kind == "private" && v.commit == 0 {
			for a := v.start; a < v.start+v.size; a += pageSize {
				if _, ok := p.Space.lookup(a); ok {
					v.commit++
				}
			}
		}
		nodes[i] = p.makeVad(v)
		size += v.size
		if v.kind == "private" {
			private += v.commit
		}
		p.truth.Vads = append(p.truth.Vads, TruthVad{nodes[i], v.start, v.start + v.size - 1, v.kind, v.file, v.commit})
	}
	root := p.treeVads(nodes, 0)
	p.o.set("VadRoot.Root", root).set("VadCount", uint64(len(nodes)))
	p.o.set("NumberOfPrivatePages", private).set("VirtualSize", size).set("PeakVirtualSize", size)
	p.o.set("CommitCharge", private+uint64(len(nodes))).set("CommitChargePeak", private+uint64(len(nodes)))
	vm := "Vm.Instance."
	p.o.set(vm+"WorkingSetLeafSize", private/2+20).set(vm+"WorkingSetSize", private/2+20).set(vm+"PeakWorkingSetSize", private/2+31)
	p.o.set(vm+"MinimumWorkingSetSize", 50).set(vm+"MaximumWorkingSetSize", 345).set(vm+"PageFaultCount", private*3/2+100)
	p.o.set(vm+"WorkingSetPrivateSize", private/2)
	p.truth.Private = private
}

func (p *Process) makeVad(v vad) uint64 {
	m := p.m
	typ := "_MMVAD_SHORT"
	if v.kind != "private" {
		typ = "_MMVAD"
	}
	va := m.alloc(m.l.size(typ))
	o := m.Kernel.obj("_MMVAD_SHORT", va)
	first, last := v.start>>12, (v.start+v.size-1)>>12
	o.set("StartingVpn", first).set("StartingVpnHigh", first>>32).set("EndingVpn", last).set("EndingVpnHigh", last>>32)
	o.set("u1.VadFlags1.CommitCharge", v.commit).set("ReferenceCount", 1)
	if v.kind == "private" {
		o.set("u.VadFlags.Protection", v.prot.soft()).set("u.VadFlags.PrivateMemory", 1)
		o.set("u1.VadFlags1.MemCommit", 1)
		return va
	}
	if v.kind == "image" {
		o.set("u.VadFlags.VadType", 2).set("u.VadFlags.Protection", 7)
	} else {
		o.set("u.VadFlags.Protection", v.prot.soft())
	}
	file := m.NewFile(v.file)
	area := m.alloc(m.l.size("_CONTROL_AREA"))
	segment := m.allocPaged(m.l.size("_SEGMENT"))
	sub := m.alloc(m.l.size("_SUBSECTION"))
	pages := v.size / pageSize
	protos := m.allocPaged(int(8 * pages))
	for i := range pages {
		if pfn, ok := p.Space.lookup(v.start + i*pageSize); ok {
			m.Kernel.U64(protos+8*i, pfn<<12|pteValid|pteAccessed)
			m.notePrototype(pfn, protos+8*i, sub, v.prot)
		}
	}
	if v.view != nil {
		v.view(protos)
	}
	c := m.Kernel.obj("_CONTROL_AREA", area).set("Segment", segment).set("FilePointer.Value", file|0xc)
	c.set("NumberOfMappedViews", 1).set("NumberOfSectionReferences", 1).set("u.Flags.File", 1)
	if v.kind == "image" {
		c.set("u.Flags.Image", 1)
	}
	m.Kernel.link(c.addr("ListHead"))
	m.Kernel.obj("_SEGMENT", segment).set("ControlArea", area).set("TotalNumberOfPtes", pages).set("SizeOfSegment", v.size).set("PrototypePte", protos)
	m.Kernel.obj("_SUBSECTION", sub).set("ControlArea", area).set("SubsectionBase", protos).set("PtesInSubsection", pages)
	l := m.Kernel.obj("_MMVAD", va)
	l.set("Subsection", sub).set("FirstPrototypePte", protos).set("LastContiguousPte", protos+8*(pages-1))
	l.set("VadsProcess", p.va).set("FileObject", file)
	return va
}

// notePrototype keeps for the PFN database where a page of a file is known; of
// several views of it the first.
func (m *Machine) notePrototype(pfn, pte, subsection uint64, prot Prot) {
	if p, shared := m.prototypes[pfn]; shared && p.pte == 0 {
		m.prototypes[pfn] = prototype{pte, m.protoPTE(subsection, prot)}
	}
}

// treeVads links sorted nodes into a balanced tree and returns its root.
func (p *Process) treeVads(nodes []uint64, parent uint64) uint64 {
	if len(nodes) == 0 {
		return 0
	}
	mid := len(nodes) / 2
	n := p.m.Kernel.obj("_RTL_BALANCED_NODE", nodes[mid])
	n.set("ParentValue", parent)
	n.set("Left", p.treeVads(nodes[:mid], nodes[mid])).set("Right", p.treeVads(nodes[mid+1:], nodes[mid]))
	return nodes[mid]
}
