package dumptest

import "fmt"

// AddPageStates gives the process a private range, a view of a file and large
// pages, with page table entries of every state, and notes them as truth.
func (p *Process) AddPageStates() {
	p.privatePages()
	p.mappedView()
	p.largePages()
}

// text stores what a page says about itself.
func (p *Process) text(va uint64, state string) string {
	s := fmt.Sprintf("%s page of %s at %x", state, p.opt.Name, va)
	p.Space.Write(va, []byte(s))
	return s
}

func (p *Process) note(va uint64, state, text string) {
	p.truth.Pages = append(p.truth.Pages, TruthPage{VA: va, State: state, Text: text})
}

func (p *Process) privatePages() {
	base := p.Reserve(0x10000)
	for i, state := range []string{"valid", "transition", "page file", "demand zero", "valid", "no table entry"} {
		va := base + uint64(i)*pageSize
		switch state {
		case "valid":
			p.note(va, state, p.text(va, state))
		case "transition":
			p.note(va, state, p.text(va, state))
			p.Space.Transition(va, ReadWrite)
		case "page file":
			p.Space.PageFile(va, 2, 0xabc123, ReadWrite)
			p.note(va, state, "")
		case "demand zero":
			p.Space.DemandZero(va, ReadWrite)
			p.note(va, state, "")
		default:
			p.note(va, state, "")
		}
	}
}

// mappedView maps a file of eight pages. Each pair of pages has one kind of
// prototype entry; the process reaches the first of a pair by an entry that
// names it, the second by one that leaves it to the VAD.
func (p *Process) mappedView() {
	m, s := p.m, p.Space
	const pages = 8
	start := uint64(0x3_1000_0000)
	frames := make([]uint64, pages)
	for i := range frames {
		va := start + uint64(i)*pageSize
		text := fmt.Sprintf("page %d of a file", i)
		switch i / 2 {
		case 0, 1:
			frames[i] = m.phys.alloc()
			copy(m.phys.page(frames[i])[:], text)
			p.note(va, "prototype", text)
		case 2:
			p.note(va, "page file", "")
		default:
			p.note(va, "in file", "")
		}
		p.truth.Pages[len(p.truth.Pages)-1].ByVAD = i%2 == 1
	}
	p.addVad(vad{start: start, size: pages * pageSize, prot: ReadOnly, kind: "mapped", file: `\Users\ines\chart.map`, view: func(protos uint64) {
		for i, frame := range frames {
			var e uint64
			switch i / 2 {
			case 0:
				e = frame<<12 | pteValid | pteAccessed | pteNX
			case 1:
				e = m.softPTE(frame<<12 | pteTransition | ReadOnly.soft()<<5)
			case 2:
				e = m.pageFilePTE(1, 0x77777, ReadOnly)
			default:
				e = m.protoPTE(protos, ReadOnly) // stands for the subsection
			}
			m.Kernel.U64(protos+8*uint64(i), e)
			named := protos + 8*uint64(i)
			if i%2 == 1 {
				named = 0
			}
			s.Prototype(start+uint64(i)*pageSize, named, ReadOnly)
		}
	}})
}

// largePages maps one page of 2 MB, and one of 1 GB over the start of physical
// memory, through which a page written elsewhere is seen again.
func (p *Process) largePages() {
	s := p.Space
	two := uint64(0x4_0020_0000)
	s.MapLarge(two, ReadWrite)
	for _, off := range []uint64{0, 0x1ff000} {
		p.note(two+off, "valid", p.text(two+off, "large"))
	}
	at := p.Alloc(2 * pageSize)
	at = roundUp(at, pageSize)
	text := p.text(at, "twice mapped")
	pfn, _ := s.lookup(at)
	huge := uint64(0x5_4000_0000)
	s.MapHuge(huge, 0, ReadWrite)
	p.note(huge+pfn<<12, "valid", text)
	p.addVad(vad{start: two, size: 0x200000, prot: ReadWrite, kind: "private", commit: 512})
	p.addVad(vad{start: huge, size: 1 << 30, prot: ReadWrite, kind: "private", commit: 1 << 18})
}
