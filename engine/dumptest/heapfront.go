package dumptest

// frontRegion is the memory that a front end takes for itself.
const frontRegion = 0x41000

// userBlocksMark is _HEAP_USERDATA_HEADER.Signature.
const userBlocksMark = 0xf0e0d0c0

// makeFront turns the heap's front end on.
func (h *Heap) makeFront() {
	p := h.p
	h.front = p.Reserve(frontRegion)
	o := p.Space.obj("_LFH_HEAP", h.front).set("Heap", h.VA())
	p.Space.link(o.addr("SubSegmentZones"))
	h.frontTop = roundUp(h.front+uint64(p.m.l.size("_LFH_HEAP")), heapUnit)
}

// lfhKey is what the process's front ends encode with.
func (p *Process) lfhKey() uint64 { return (uint64(p.pid) + 77) * 0xd6e8feb86659fd93 }

// AllocFront makes a stretch of count blocks of one size that the front end
// gives out, and returns what the program gets; Busy of them are given out, the
// others are free.
func (h *Heap) AllocFront(size uint64, count, busy int) []uint64 {
	if h.front == 0 {
		h.makeFront()
	}
	p, l := h.p, h.p.m.l
	bits := l.offset("_HEAP_USERDATA_HEADER", "BitmapData")
	words := (count + 63) / 64
	first := uint64(roundUp(bits+8*words, heapUnit))
	stride := blockSize(size)
	at := h.take(blockSize(first+uint64(count)*stride), first+uint64(count)*stride, blockBusy|blockVirtual) + heapHeader

	sub := h.frontTop
	h.frontTop = roundUp(sub+uint64(l.size("_HEAP_SUBSEGMENT")), heapUnit)
	p.Space.obj("_HEAP_SUBSEGMENT", sub).set("UserBlocks", at).set("BlockSize", stride/heapUnit).set("BlockCount", uint64(count)).
		set("AggregateExchg", uint64(count-busy))
	o := p.Space.obj("_HEAP_USERDATA_HEADER", at).set("SubSegment", sub).set("Signature", userBlocksMark)
	key := uint32(p.lfhKey())
	o.set("EncodedOffsets", uint64((uint32(first)|uint32(stride)<<16)^uint32(at)^uint32(h.front)^key))
	o.set("BusyBitmap.SizeOfBitMap", uint64(count)).set("BusyBitmap.Buffer", at+uint64(bits))

	users := make([]uint64, count)
	bitmap := make([]byte, 8*words)
	for i := range users {
		block := at + first + uint64(i)*stride
		users[i] = block + heapHeader
		unused := byte(0x80)
		if i < busy {
			bitmap[i/8] |= 1 << (i % 8)
			unused |= byte(min(stride-size, 0x3e))
		}
		b := le.AppendUint32(nil, uint32(block>>4)^uint32(h.VA())^key^uint32(block-at)<<12)
		p.Space.Write(block+heapHeader/2, append(b, 0, byte(i), byte(i>>8), unused))
	}
	p.Space.Write(at+uint64(bits), bitmap)
	return users[:busy]
}
