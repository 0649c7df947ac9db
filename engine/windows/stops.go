package windows

import (
	"fmt"

	"kdap/engine/arch"
	"kdap/engine/arch/arm64"
)

// stops are the places where the code of a dump stopped, numbered from 0: the
// processors of a kernel dump, the threads of a user minidump. A debugger
// stands in one of them.
type stops interface {
	count() int
	crashed() int // where the dump was made for
	registers(n int) (arch.Registers, error)
	thread(n int) (uint64, error) // the address that names the thread: of its ETHREAD or TEB
}

// StopCount returns how many places the code stopped in: processors, or
// threads of a user minidump.
func (s *System) StopCount() int { return s.stops.count() }

// CrashStop returns the number of the place that the dump was made for.
func (s *System) CrashStop() int { return s.stops.crashed() }

// StopRegisters returns the registers at place n.
func (s *System) StopRegisters(n int) (arch.Registers, error) { return s.stops.registers(n) }

// StopThread returns the thread at place n: its ETHREAD, or its TEB where there
// is no kernel.
func (s *System) StopThread(n int) (uint64, error) { return s.stops.thread(n) }

// processorStops are the processors of a kernel dump.
type processorStops struct{ *System }

func (p processorStops) count() int   { return p.ProcessorCount() }
func (p processorStops) crashed() int { return p.CrashProcessor() }

func (p processorStops) registers(n int) (arch.Registers, error) {
	if p.dump.Header.MachineImageType == imageMachineARM64 {
		return p.armRegisters(n)
	}
	return registers(p.CrashRegisters(n))
}

// armRegisters returns the registers of processor n of an ARM64 system: its
// context record's, or those of the header for the one that crashed.
func (p processorStops) armRegisters(n int) (arch.Registers, error) {
	c, err := p.Processor(n)
	if err == nil {
		var b []byte
		if b, err = c.contextRecord(arm64.ContextSize); err == nil {
			return registers(arm64.ParseContext(b))
		}
	}
	if n != p.CrashProcessor() {
		return nil, err
	}
	return registers(arm64.ParseContext(p.dump.Header.ContextBytes()))
}

func (p processorStops) thread(n int) (uint64, error) { return p.CurrentThread(n) }

// threadStops are the threads of a user minidump.
type threadStops struct{ u *UserProcess }

func (t threadStops) count() int   { return len(t.u.file.Threads) }
func (t threadStops) crashed() int { return t.u.EventThread() }

func (t threadStops) registers(n int) (arch.Registers, error) {
	if n < 0 || n >= t.count() {
		return nil, fmt.Errorf("there is no thread %d", n)
	}
	return t.u.parseContext(t.u.file.Threads[n].Context)
}

func (t threadStops) thread(n int) (uint64, error) {
	if n < 0 || n >= t.count() {
		return 0, fmt.Errorf("there is no thread %d", n)
	}
	return t.u.file.Threads[n].TEB, nil
}
