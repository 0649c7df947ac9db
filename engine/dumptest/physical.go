package dumptest

const pageSize = 0x1000

// A page is one frame of physical memory.
type page [pageSize]byte

// A Run is a range of physical pages that the machine has.
type Run struct{ Base, Count uint64 }

// physical is the machine's memory. Frames that nothing was written to are
// not held: they are zero in a dump that has them.
type physical struct {
	runs  []Run
	pages map[uint64]*page
	gone  map[uint64]bool // frames that the dump shall not hold

	next  uint64
	total uint64
	step  uint64 // 0: neighbours in time are neighbours in memory
	taken map[uint64]bool
}

// window is how far from each other the allocator spreads pages that are
// taken one after another, so that virtual neighbours are no neighbours in the
// file; yet what was made first lies first, as on a machine that booted.
const window = 64

func newPhysical(runs []Run, scatter bool) *physical {
	p := &physical{runs: runs, pages: map[uint64]*page{}, gone: map[uint64]bool{}, taken: map[uint64]bool{}}
	for _, r := range runs {
		p.total += r.Count
	}
	if scatter {
		// An odd step near the golden ratio visits frames far apart. It must
		// share no factor with the count to visit all of them.
		p.step = p.total*5/8 | 1
		for gcd(p.step, p.total) != 1 {
			p.step += 2
		}
	}
	return p
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// frame turns the n-th page of all runs into its PFN.
func (p *physical) frame(n uint64) uint64 {
	for _, r := range p.runs {
		if n < r.Count {
			return r.Base + n
		}
		n -= r.Count
	}
	panic("dumptest: page beyond the machine's memory")
}

// alloc takes a free frame.
func (p *physical) alloc() uint64 {
	for range p.total + window {
		n := p.next
		if p.step != 0 {
			p.next = (p.next + p.step) % p.total
		} else {
			p.next = (p.next + 1) % roundUp(p.total, window)
			if n = n/window*window + (n*37+11)%window; n >= p.total {
				continue
			}
		}
		f := p.frame(n)
		if !p.taken[f] {
			p.taken[f] = true
			return f
		}
	}
	panic("dumptest: the machine has no free page left")
}

// allocLarge takes 512 frames that follow one another, aligned.
func (p *physical) allocLarge() uint64 { return p.takeRun(512, 512) }

// allocRun takes frames that follow one another.
func (p *physical) allocRun(count uint64) uint64 { return p.takeRun(count, 1) }

func (p *physical) takeRun(count, step uint64) uint64 {
	for _, r := range p.runs {
		for base := roundUp(r.Base, step); base+count <= r.Base+r.Count; base += step {
			free := true
			for i := range count {
				free = free && !p.taken[base+i]
			}
			if free {
				for i := range count {
					p.taken[base+i] = true
				}
				return base
			}
		}
	}
	panic("dumptest: the machine has no free frames in a row left")
}

func (p *physical) page(pfn uint64) *page {
	g := p.pages[pfn]
	if g == nil {
		g = new(page)
		p.pages[pfn] = g
	}
	return g
}

func (p *physical) u64(pa uint64) uint64 {
	g := p.pages[pa>>12]
	if g == nil {
		return 0
	}
	return le.Uint64(g[pa&0xfff:])
}

func (p *physical) putU64(pa, v uint64) { le.PutUint64(p.page(pa >> 12)[pa&0xfff:], v) }
