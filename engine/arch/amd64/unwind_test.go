package amd64_test

import (
	"encoding/binary"
	"errors"
	"sync"
	"testing"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
	"kdap/engine/pe"
)

const (
	testBase  = 0xfffff80700000000
	testText  = 0x1000
	testXdata = 0x4000
	testPdata = 0x8000
	testSize  = 0x10000
	testStack = 0xffffa00000000000
)

// A machine is an image and a stack in memory, with pages that may be missing.
type machine struct {
	image, stack []byte
	missing      map[uint64]bool // addresses of pages
	functions    int
}

// newMachine lays out a 64-bit image with the headers that a reader needs.
func newMachine() *machine {
	m := &machine{image: make([]byte, testSize), stack: make([]byte, 0x3000), missing: map[uint64]bool{}}
	le := binary.LittleEndian
	b := m.image
	copy(b, "MZ")
	le.PutUint32(b[60:], 0x80)
	h := b[0x80:]
	copy(h, "PE\x00\x00")
	le.PutUint16(h[4:], 0x8664)
	le.PutUint16(h[20:], 0xf0)
	o := h[24:]
	le.PutUint16(o, 0x20b)
	le.PutUint32(o[56:], testSize)
	le.PutUint32(o[60:], testSize) // headers: so that the bytes serve as a file, too
	le.PutUint32(o[108:], 16)
	le.PutUint32(o[112+3*8:], testPdata)
	return m
}

// function adds an entry to the function table; info, when not nil, is its unwind
// data, at unwind.
func (m *machine) function(begin, end, unwind uint32, info ...byte) {
	le := binary.LittleEndian
	e := m.image[testPdata+12*m.functions:]
	le.PutUint32(e, begin)
	le.PutUint32(e[4:], end)
	le.PutUint32(e[8:], unwind)
	m.functions++
	le.PutUint32(m.image[0x80+24+112+3*8+4:], uint32(12*m.functions))
	if info != nil {
		copy(m.image[unwind:], info)
	}
}

func (m *machine) push(at uint64, v ...uint64) {
	for i, w := range v {
		binary.LittleEndian.PutUint64(m.stack[at-testStack+uint64(8*i):], w)
	}
}

func (m *machine) Read(va uint64, p []byte) (int, error) {
	for i := range p {
		at := va + uint64(i)
		bad := m.missing[at&^(memory.PageSize-1)]
		switch {
		case !bad && at-testBase < uint64(len(m.image)):
			p[i] = m.image[at-testBase]
		case !bad && at-testStack < uint64(len(m.stack)):
			p[i] = m.stack[at-testStack]
		default:
			return i, &memory.ReadError{Addr: at, Kind: memory.NotInDump}
		}
	}
	return len(p), nil
}

// table returns the image's function table; with a file when that is asked for.
func (m *machine) table(t testing.TB, withFile bool) *amd64.FunctionTable {
	t.Helper()
	img, err := pe.FromMemory(m, testBase)
	if err != nil {
		img = nil
	}
	return amd64.NewFunctionTable(testBase, img, func() *pe.Image {
		if !withFile {
			return nil
		}
		f, err := pe.FromBytes(m.image)
		if err != nil {
			t.Fatal(err)
		}
		return f
	})
}

func at(rva uint32, sp uint64) amd64.Context {
	c := amd64.Context{RIP: testBase + uint64(rva)}
	c.GPR[amd64.RSP] = sp
	return c
}

func TestStepLeaf(t *testing.T) {
	m := newMachine()
	m.push(testStack+0x100, 0x1234)
	c := at(testText, testStack+0x100)
	r, err := amd64.Step(&c, m, nil)
	if err != nil || r.Rule != amd64.RuleLeaf || c.RIP != 0x1234 || c.SP() != testStack+0x108 || r.ReturnSlot != testStack+0x100 {
		t.Errorf("%+v %+v %v", r, c, err)
	}
	before := c
	before.GPR[amd64.RSP] = 0x10
	c = before
	var re *memory.ReadError
	if _, err := amd64.Step(&c, m, nil); !errors.As(err, &re) || c != before {
		t.Errorf("unreadable stack: %v, context changed: %v", err, c != before)
	}
}

func TestStepMachineFrame(t *testing.T) {
	for _, errorCode := range []byte{0, 1} {
		m := newMachine()
		// machine frame, push rbp, alloc 8.
		m.function(testText, testText+0x100, testXdata, 1, 2, 3, 0, 2, 0x02, 1, 0x50, 0, 0x0a|errorCode<<4)
		m.image[testText+0x50] = 0x90
		sp := uint64(testStack + 0x200)
		m.push(sp, 0xaaaa, 0xbbbb) // local, rbp
		frame := sp + 16
		if errorCode != 0 {
			m.push(frame, 0xee)
			frame += 8
		}
		m.push(frame, 0x7ff700001000, 0x33, 0x246, 0x7ffe1000, 0x2b)
		c := at(testText+0x50, sp)
		r, err := amd64.Step(&c, m, m.table(t, false))
		if err != nil || r.Rule != amd64.RuleMachineFrame || r.MachineFrame != frame || r.ErrorCode != (errorCode != 0) ||
			c.RIP != 0x7ff700001000 || c.CS != 0x33 || c.EFlags != 0x246 || c.SP() != 0x7ffe1000 || c.SS != 0x2b || c.GPR[amd64.RBP] != 0xbbbb {
			t.Errorf("error code %d: %+v %+v %v", errorCode, r, c, err)
		}
		if got := amd64.DefaultTrapFrame.TrapFrameAt(r); got != frame-0x168 {
			t.Errorf("trap frame at %#x", got)
		}
	}
}

// A fragment far from the function's start, chained to it; and an indirect entry.
func TestStepChained(t *testing.T) {
	m := newMachine()
	le := binary.LittleEndian
	primary := []byte{1, 5, 2, 0, 5, 0x32, 1, 0x30} // alloc 0x20, push rbx
	m.function(testText, testText+0x20, testXdata, primary...)
	chained := make([]byte, 4+4+12)
	copy(chained, []byte{4<<3 | 1, 3, 2, 0, 3, 0x64, 5, 0}) // rsi saved at +0x28
	le.PutUint32(chained[8:], testText)
	le.PutUint32(chained[12:], testText+0x20)
	le.PutUint32(chained[16:], testXdata)
	m.function(testText+0x800, testText+0x880, testXdata+0x100, chained...)
	indirect := m.image[testXdata+0x200:]
	copy(indirect, m.image[testPdata:testPdata+12])
	m.function(testText+0x900, testText+0x910, testXdata+0x201)
	sp := uint64(testStack + 0x400)
	m.push(sp+0x20, 0xb, 0xc0ffee) // rbx, return address; rsi shares the second slot
	c := at(testText+0x810, sp)
	r, err := amd64.Step(&c, m, m.table(t, false))
	if err != nil || c.RIP != 0xc0ffee || c.GPR[amd64.RBX] != 0xb || c.GPR[amd64.RSI] != 0xc0ffee || c.SP() != sp+0x30 {
		t.Errorf("chained: %+v %+v %v", r, c, err)
	}
	c = at(testText+0x905, sp)
	r, err = amd64.Step(&c, m, m.table(t, false))
	if err != nil || c.RIP != 0xc0ffee || r.Function.Begin != testText {
		t.Errorf("indirect: %+v %+v %v", r, c, err)
	}
}

// Data that is damaged leads to the leaf rule and says so.
func TestStepDamagedData(t *testing.T) {
	cycle := make([]byte, 4+12)
	cycle[0] = 4<<3 | 1
	binary.LittleEndian.PutUint32(cycle[4:], testText)
	binary.LittleEndian.PutUint32(cycle[8:], testText+0x20)
	binary.LittleEndian.PutUint32(cycle[12:], testXdata)
	for name, info := range map[string][]byte{
		"chain without end": cycle,
		"version 7":         {7, 0, 0, 0},
		"unknown operation": {1, 0, 1, 0, 0, 0x0f},
		"operand cut off":   {1, 0, 1, 0, 0, 0x01},
	} {
		m := newMachine()
		m.function(testText, testText+0x20, testXdata, info...)
		m.push(testStack, 0x77)
		c := at(testText+0x10, testStack)
		r, err := amd64.Step(&c, m, m.table(t, false))
		var fe *amd64.UnwindFormatError
		if err != nil || r.Rule != amd64.RuleLeaf || !errors.As(r.DataErr, &fe) || c.RIP != 0x77 {
			t.Errorf("%s: %+v %+v %v", name, r, c, err)
		}
	}
}

// A function table that is partly paged out is read from the image's file; without
// a file, what is there is still found.
func TestLookupMissingPages(t *testing.T) {
	m := newMachine()
	const n = 2000 // six pages of entries
	for i := range uint32(n) {
		m.function(0x100000+i*16, 0x100000+i*16+12, testXdata, 1, 0, 0, 0)
	}
	m.missing[testBase+testPdata+0x1000] = true
	m.missing[testBase+testPdata+0x2000] = true
	for _, withFile := range []bool{false, true} {
		table := m.table(t, withFile)
		lost := 0
		for i := range uint32(n) {
			f, ok, err := table.Lookup(0x100000 + i*16 + 5)
			if first := 12 * i / 0x1000; withFile || (first < 1 || first > 2) && (12*i+11)/0x1000 != 1 {
				if !ok || f.Begin != 0x100000+i*16 {
					t.Fatalf("file %v, function %d: %v %v %v", withFile, i, f, ok, err)
				}
				continue
			}
			var re *memory.ReadError
			if ok || !errors.As(err, &re) {
				t.Fatalf("function %d on a missing page: %v %v", i, ok, err)
			}
			lost++
		}
		if _, ok, err := table.Lookup(0x100000 + 14); withFile && (ok || err != nil) {
			t.Errorf("between two functions: %v %v", ok, err)
		}
		t.Logf("file %v: %d lost", withFile, lost)
	}
	m.missing[testBase] = true // the headers, too
	if _, _, err := m.table(t, false).Lookup(0x100000); !errors.Is(err, amd64.ErrNoUnwindData) {
		t.Errorf("no headers: %v", err)
	}
	if _, ok, err := m.table(t, true).Lookup(0x100000); !ok {
		t.Errorf("headers from the file: %v", err)
	}
}

// Many walks share one table.
func TestLookupConcurrent(t *testing.T) {
	m := newMachine()
	const n = 2000
	for i := range uint32(n) {
		m.function(0x100000+i*16, 0x100000+i*16+12, testXdata, 1, 0, 0, 0)
	}
	table := m.table(t, true)
	var wg sync.WaitGroup
	for g := range uint32(8) {
		wg.Go(func() {
			for i := range uint32(n) {
				rva := 0x100000 + (i*7+g)%n*16
				f, ok, err := table.Lookup(rva)
				if _, ierr := table.Info(f); !ok || err != nil || ierr != nil || f.Begin != rva {
					t.Errorf("%#x: %v %v %v %v", rva, f, ok, err, ierr)
					return
				}
			}
		})
	}
	wg.Wait()
}

// A register whose slot is missing is unknown; it matters only where a frame is
// found through it.
func TestStepUnknownRegister(t *testing.T) {
	m := newMachine()
	m.function(testText, testText+0x20, testXdata, 1, 2, 2, 0, 2, 0x54, 0, 2) // rbp saved at +0x1000
	m.function(testText+0x40, testText+0x60, testXdata+0x40, 1, 1, 2, 5, 1, 0x03, 1, 0x50)
	m.image[testText+0x10], m.image[testText+0x50] = 0x90, 0x90
	m.missing[testStack+0x1000] = true
	m.push(testStack, testBase+testText+0x50)
	table := m.table(t, false)
	c := at(testText+0x10, testStack)
	if _, err := amd64.Step(&c, m, table); err != nil || c.Unknown != 1<<amd64.RBP {
		t.Fatalf("%+v %v", c, err)
	}
	before := c
	if _, err := amd64.Step(&c, m, table); !errors.Is(err, amd64.ErrUnknownRegister) || c != before {
		t.Errorf("%+v %v", c, err)
	}
}

// A jump out of the function's entry is an epilog only if it leaves the function:
// cold parts have entries of their own, chained to the first.
func TestStepJumpToColdPart(t *testing.T) {
	m := newMachine()
	le := binary.LittleEndian
	m.function(testText, testText+0x20, testXdata, 1, 4, 1, 0, 4, 0x42) // alloc 0x28
	cold := make([]byte, 4+12)
	cold[0] = 4<<3 | 1
	le.PutUint32(cold[4:], testText)
	le.PutUint32(cold[8:], testText+0x20)
	le.PutUint32(cold[12:], testXdata)
	m.function(testText+0x800, testText+0x820, testXdata+0x40, cold...)
	m.function(testText+0x900, testText+0x920, testXdata+0x80, 1, 0, 0, 0)
	m.push(testStack, 0xdead)
	m.push(testStack+0x28, 0xc0de)
	for target, want := range map[uint32]uint64{0x804: 0xc0de, 0x900: 0xdead, 0xa00: 0xdead, 0x10: 0xc0de, 0: 0xdead} {
		m.image[testText+0x10] = 0xe9
		le.PutUint32(m.image[testText+0x11:], target-0x15)
		c := at(testText+0x10, testStack)
		if r, err := amd64.Step(&c, m, m.table(t, false)); err != nil || c.RIP != want {
			t.Errorf("jmp to +%#x: rip %#x, want %#x (%+v, %v)", target, c.RIP, want, r, err)
		}
	}
}

// FuzzStep unwinds with hostile unwind data. It must end, and a failed step must
// not change the context.
func FuzzStep(f *testing.F) {
	f.Add([]byte{1, 5, 2, 0, 5, 0x32, 1, 0x30}, []byte{0x90}, uint16(0x10), uint32(testText))
	f.Add([]byte{1, 1, 2, 5, 1, 0x03, 1, 0x50}, []byte{0x5d, 0xc3}, uint16(2), uint32(testText))
	f.Add([]byte{2, 6, 6, 0, 3, 0x16, 0x21, 6, 0, 6, 6, 0x32, 2, 0x30, 1, 0x70}, []byte{0x5b, 0xc3}, uint16(0x7d), uint32(testText))
	f.Add([]byte{0x21, 0, 0, 0, 0, 0x10, 0, 0, 0x20, 0x10, 0, 0, 0, 0x40, 0, 0}, []byte{0xe9, 0, 0, 0, 0}, uint16(4), uint32(testText))
	f.Fuzz(func(t *testing.T, info, code []byte, offset uint16, begin uint32) {
		m := newMachine()
		m.function(testText, testText+0x80, testXdata, info[:min(len(info), 0x1000)]...)
		m.function(begin, begin+0x80, testXdata)
		copy(m.image[testText+min(uint32(offset), 0x2000):testXdata], code)
		c := at(testText+uint32(offset), testStack+0x100)
		before := c
		r, err := amd64.Step(&c, m, m.table(t, false))
		switch {
		case err != nil && c != before:
			t.Fatal("a failed step changed the context")
		case err == nil && r.Rule == 0:
			t.Fatal("a step without a rule")
		}
	})
}

// FuzzParseUnwindInfo: what was decoded fits into the bytes given, and the codes
// account for every slot.
func FuzzParseUnwindInfo(f *testing.F) {
	f.Add([]byte{1, 5, 2, 0, 5, 0x32, 1, 0x30})
	f.Add([]byte{2, 6, 6, 0, 3, 0x16, 0x21, 6, 0, 6, 6, 0x32, 2, 0x30, 1, 0x70})
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := amd64.ParseUnwindInfo(0, b)
		if err != nil {
			var fe *amd64.UnwindFormatError
			if !errors.As(err, &fe) {
				t.Fatal(err)
			}
			return
		}
		slots := 0
		for _, c := range u.Codes {
			slots += int(c.Slots)
		}
		if slots != int(u.CountOfCodes) || 4+2*slots > len(b) {
			t.Fatalf("%d slots of %d, in %d bytes", slots, u.CountOfCodes, len(b))
		}
	})
}
