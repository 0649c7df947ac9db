package windows

import (
	"iter"

	"kdap/engine/dump"
)

// triage returns the parts of a triage dump, nil for the other types.
func (s *System) triage() *dump.TriageDump {
	t, _ := s.dump.Triage()
	return t
}

// triageModules yields the drivers a triage dump lists.
func (s *System) triageModules(t *dump.TriageDump) iter.Seq2[*Module, error] {
	return func(yield func(*Module, error) bool) {
		for _, d := range t.Drivers {
			m := &Module{
				sys: s, space: s.kernel, Source: "triage",
				Base: d.DllBase, Size: uint64(d.SizeOfImage), Path: d.Name, ImageName: baseName(d.Name),
				TimeDateStamp: d.TimeDateStamp, HasTimeDateStamp: true, CheckSum: d.CheckSum,
			}
			m.Name = moduleName(m.ImageName)
			if s.nt != nil && m.Base == s.nt.Base {
				m.Name = kernelName
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

// triagePrcb returns the address of processor n's _KPRCB when the dump is a
// triage dump and saved that one.
func (s *System) triagePrcb(n int) (uint64, bool) {
	t := s.triage()
	if t == nil || len(t.PRCB) == 0 || n != s.CrashProcessor() {
		return 0, false
	}
	addr := t.Addresses().PRCB
	return addr, addr != 0
}

// CrashProcessor returns the number of the processor that crashed: the one a
// triage dump saved, else the one whose registers the header repeats; 0 when
// neither tells.
func (s *System) CrashProcessor() int {
	s.crashOnce.Do(func() { s.crashProcessor = s.findCrashProcessor() })
	return s.crashProcessor
}

func (s *System) findCrashProcessor() int {
	if t := s.triage(); t != nil {
		off := uint64(0)
		if s.kdbg != nil {
			off = uint64(s.kdbg.PrcbNumber)
		}
		if off != 0 && off+4 <= uint64(len(t.PRCB)) {
			if n := le32(t.PRCB[off:]); n < maxProcessors {
				return int(n)
			}
		}
		return 0
	}
	b := s.dump.Header.ContextBytes()
	if len(b) < contextRip+8 {
		return 0
	}
	rsp, rip := le64(b[contextRsp:]), le64(b[contextRip:])
	for i := range s.ProcessorCount() {
		c, err := s.Processor(i)
		if err != nil {
			continue
		}
		if regs, err := c.Context(); err == nil && regs.SP() == rsp && regs.RIP == rip {
			return i
		}
	}
	return 0
}

// Of the CONTEXT in the header (winnt.h).
const (
	contextRsp = 0x98
	contextRip = 0xf8
)
