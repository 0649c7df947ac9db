package dumptest

import "bytes"

// A Variant is a dump that is broken in one way.
type Variant struct {
	Name  string
	About string // what is wrong, and what must still work
	Make  func() []byte
}

// tiny is the machine that variants break: Small in little memory.
func tiny() *Dump {
	return SmallWith(Options{SmallPages: true, Runs: []Run{{1, 0x9e}, {0x100, 0x300}}}).Finish()
}

// Broken lists every broken dump.
func Broken() []Variant {
	var all []Variant
	for _, v := range brokenFiles {
		all = append(all, Variant{v.name, v.about, func() []byte { return v.change(tiny().Bytes(v.format)) }})
	}
	for _, v := range brokenMemory {
		all = append(all, Variant{v.name, v.about, func() []byte {
			d := tiny()
			v.change(d, d.m)
			if len(d.m.phys.gone) > 0 {
				return d.Bytes(ActiveBitmap) // a complete dump has no holes
			}
			return d.Bytes(Full)
		}})
	}
	return all
}

func put32(off int, v uint32) func([]byte) []byte {
	return func(b []byte) []byte { le.PutUint32(b[off:], v); return b }
}

func put64(off int, v uint64) func([]byte) []byte {
	return func(b []byte) []byte { le.PutUint64(b[off:], v); return b }
}

func cut(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }

// brokenFiles are damaged behind the machine's back, in the file.
var brokenFiles = []struct {
	name, about string
	format      Format
	change      func([]byte) []byte
}{
	{"empty", "a file of 0 bytes", Full, cut(0)},
	{"three_bytes", "PAG", Full, cut(3)},
	{"text", "a text file", Full, func([]byte) []byte { return bytes.Repeat([]byte("This is no crash dump.\r\n"), 500) }},
	{"half_header", "ends inside the header", Full, cut(0x1234)},
	{"header_only", "ends behind the header", Full, cut(headerSize)},
	{"half", "ends in the middle of the pages", Full, func(b []byte) []byte { return b[:len(b)/2] }},
	{"odd_end", "ends in the middle of a page", Full, func(b []byte) []byte { return b[:len(b)*3/4/pageSize*pageSize+0x123] }},
	{"type_3", "an unknown dump type", Full, put32(offType, 3)},
	{"type_filler", "the type was never set", Full, put32(offType, 0x45474150)},
	{"machine_ia64", "another machine", Full, put32(0x30, 0x200)},
	{"machine_unknown", "no machine at all", Full, put32(0x30, 0x1234)},
	{"no_cpus", "0 processors", Full, put32(0x34, 0)},
	{"many_cpus", "2049 processors", Full, put32(0x34, 2049)},
	{"more_cpus", "more processors than KiProcessorBlock has", Full, put32(0x34, 60)},
	{"no_runs", "no physical memory", Full, put32(offRuns, 0)},
	{"runs_43", "more runs than the header holds", Full, put32(offRuns, 43)},
	{"runs_huge", "an absurd number of runs", Full, put32(offRuns, 0xfffffff0)},
	{"runs_filler", "the run list was never set", Full, func(b []byte) []byte { copy(b[offRuns:], bytes.Repeat([]byte("PAGE"), 175)); return b }},
	{"run_long", "a run that is longer than the file", Full, put64(offRuns+16+24, 0x0fffffff)},
	{"run_wraps", "a run whose end wraps around", Full, put64(offRuns+16+16, 0xffffffffffffff00)},
	{"runs_overlap", "two runs over the same pages", Full, put64(offRuns+16+16, 0x80)},
	{"pages_lie", "NumberOfPages promises a thousand times the file", Full, put64(offRuns+8, 0x400000)},
	{"dtb_zero", "no page table root", Full, put64(0x10, 0)},
	{"dtb_wrong", "a page table root that holds something else", Full, put64(0x10, 0x105000)},
	{"dtb_beyond", "a page table root beyond memory", Full, put64(0x10, 0x7fff_ffff_f000)},
	{"dtb_pcid", "a root with PCID bits: nothing is wrong", Full, func(b []byte) []byte { b[0x10] |= 0x83; b[0x17] |= 0x80; return b }},
	{"kdbg_zero", "no pointer to the debugger data block", Full, put64(0x80, 0)},
	{"kdbg_filler", "the pointer was never set", Full, put64(0x80, 0x4547415045474150)},
	{"kdbg_wrong", "the pointer leads elsewhere", Full, put64(0x80, kernelBase+0x1000)},
	{"lists_wrong", "the header's list heads lead nowhere", Full, func(b []byte) []byte { return put64(0x28, 8)(put64(0x20, 8)(b)) }},
	{"context_zero", "no context in the header: the PRCB has it", Full, func(b []byte) []byte { clear(b[offContext : offContext+0x4d0]); return b }},
	{"exception_many", "an exception record with 4 billion parameters", Full, put32(offException+0x18, 0xffffffff)},
	{"time_wild", "a time beyond what FILETIME holds", Full, put64(0xfa8, 0xfffffffffffffff0)},

	{"bitmap_magic", "a bitmap dump with a wrong second signature", KernelBitmap, put32(headerSize, 0x12345678)},
	{"bitmap_first_beyond", "pages start beyond the file", KernelBitmap, put64(headerSize+0x20, 1<<40)},
	{"bitmap_bits_huge", "a bitmap of 2^60 bits", KernelBitmap, put64(headerSize+0x30, 1<<60)},
	{"bitmap_bits_more", "a bit count beyond the bitmap's room", KernelBitmap, put64(headerSize+0x30, 1<<20)},
	{"bitmap_count", "the page count is not the number of bits", KernelBitmap, put64(headerSize+0x28, 3)},
	{"bitmap_all_set", "every bit set", KernelBitmap, func(b []byte) []byte {
		for i := range 0x80 {
			b[headerSize+0x38+i] = 0xff
		}
		return b
	}},
	{"bitmap_space", "RequiredDumpSpace cuts half of the file off", KernelBitmap, func(b []byte) []byte { return put64(offSpace, uint64(len(b)/2))(b) }},
	{"bitmap_cut", "ends inside the bitmap", KernelBitmap, cut(headerSize + 0x40)},
	{"summary_bits", "a summary dump with 2^32-1 bits", Summary, put32(headerSize+0x10, 0xffffffff)},

	{"range_magic", "a range dump with neither signature", KernelRange, func(b []byte) []byte { return put32(headerSize+4, 0)(put32(headerSize, 0)(b)) }},
	{"range_none", "no range", KernelRange, put32(headerSize+0x20, 0)},
	{"range_many", "4 billion ranges", KernelRange, put32(headerSize+0x20, 0xffffffff)},
	{"range_first_beyond", "pages start beyond the file", KernelRange, put64(headerSize+0x18, 1<<50)},
	{"range_first_zero", "pages start at the file's start", KernelRange, put64(headerSize+0x18, 0)},
	{"range_wraps", "a range whose end wraps around", KernelRange, put64(headerSize+0x38, 0xffffffffffffffff)},
	{"range_pages", "the page total promises more than the file", KernelRange, put64(headerSize+0x28, 1<<40)},

	{"triage_size", "SizeOfDump is beyond the file", Triage, put32(headerSize+4, 0x7fffffff)},
	{"triage_mark", "TRGD is missing", Triage, func(b []byte) []byte { return bytes.Replace(b, []byte("TRGD"), []byte("XXXX"), 1) }},
	{"triage_no_prcb", "no PRCB", Triage, put32(headerSize+0x1c, 0)},
	{"triage_no_context", "no context", Triage, put32(headerSize+0xc, 0)},
	{"triage_no_process", "no process and thread", Triage, func(b []byte) []byte { return put32(headerSize+0x24, 0)(put32(headerSize+0x20, 0)(b)) }},
	{"triage_no_drivers", "no driver list", Triage, put32(headerSize+0x30, 0)},
	{"triage_drivers_beyond", "the driver list lies beyond the file", Triage, put32(headerSize+0x30, 0xfffffff0)},
	{"triage_drivers_many", "4 billion drivers", Triage, put32(headerSize+0x34, 0xffffffff)},
	{"triage_stack_beyond", "the call stack ends beyond the file", Triage, put32(headerSize+0x2c, 0x40000000)},
	{"triage_blocks_many", "4 billion data blocks", Triage, put32(headerSize+0x7c, 0xffffffff)},
	{"triage_block_beyond", "the data blocks' list lies beyond the file", Triage, put32(headerSize+0x78, 0xffffff00)},
	{"triage_cut", "ends in the middle", Triage, func(b []byte) []byte { return b[:len(b)/2] }},
}
