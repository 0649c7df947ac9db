package windows

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kdap/engine/bugcheck"
	"kdap/engine/memory"
	"kdap/engine/types"
)

// CurrentThread returns the address of the thread that runs on processor n; of
// a triage dump the thread it saved.
func (s *System) CurrentThread(n int) (uint64, error) {
	c, err := s.Processor(n)
	if err == nil {
		var addr uint64
		if addr, err = c.CurrentThread(); err == nil && addr != 0 {
			return addr, nil
		}
	}
	if t := s.triage(); t != nil && n == s.CrashProcessor() {
		if addr := t.Addresses().Thread; addr != 0 {
			return addr, nil
		}
	}
	return 0, fmt.Errorf("thread of processor %d: %w", n, errOrNot(err))
}

// A BugCheck is why the system stopped.
type BugCheck struct {
	Code   uint32
	Params [4]uint64
}

// Name returns the bug check's name, or its number.
func (b BugCheck) Name() string { return bugcheck.Name(b.Code) }

// BugCheck returns the code and parameters of the header. The kernel's own
// record, nt!KiBugCheckData, is in KernelBugCheck.
func (s *System) BugCheck() BugCheck {
	h := s.dump.Header
	return BugCheck{h.BugCheckCode, h.BugCheckParameter}
}

// Build returns the build number of the system.
func (s *System) Build() uint32 { return s.dump.Header.MinorVersion }

// maxBuildLab bounds the string at nt!NtBuildLabEx.
const maxBuildLab = 256

// BuildLab returns the string that names the build ("19041.1.amd64fre.vb_release…").
func (s *System) BuildLab() (string, error) {
	addr, err := s.Symbol("NtBuildLabEx")
	if s.kdbg != nil && s.kdbg.NtBuildLab != 0 {
		addr, err = s.kdbg.NtBuildLab, nil
	}
	if err != nil {
		return "", err
	}
	return types.ReadCString(s.kernel, addr, maxBuildLab)
}

// CrashTime returns when the dump was made, UTC; the zero time when the header does not say.
func (s *System) CrashTime() time.Time {
	if !s.dump.Header.HasSystemTime() {
		return time.Time{}
	}
	return FileTime(s.dump.Header.SystemTime)
}

// KUSER_SHARED_DATA lies at this address in every x64 kernel. Its first
// members are documented (ntddk.h) and keep their places.
const (
	sharedUserData   = 0xfffff78000000000
	sharedInterrupt  = 0x008 // InterruptTime: low, high1, high2
	sharedSystemTime = 0x014
	sharedMajor      = 0x26c // NtMajorVersion
	sharedMinor      = 0x270 // NtMinorVersion
	sharedTickCount  = 0x320 // TickCountQuad
)

// Uptime returns how long the system ran: the header's figure or, where that
// was not filled in, the interrupt time of KUSER_SHARED_DATA.
func (s *System) Uptime() (time.Duration, error) {
	if s.dump.Header.HasSystemUpTime() {
		return ticks100(s.dump.Header.SystemUpTime), nil
	}
	v, err := memory.ReadUint(s.kernel, sharedUserData+sharedInterrupt, 8)
	return ticks100(v), err
}

// SystemTime returns the kernel's clock when the dump was made, a FILETIME.
func (s *System) SystemTime() (uint64, error) {
	return memory.ReadUint(s.kernel, sharedUserData+sharedSystemTime, 8)
}

// TickCount returns the number of clock interrupts since the start.
func (s *System) TickCount() (uint64, error) {
	return memory.ReadUint(s.kernel, sharedUserData+sharedTickCount, 8)
}

// defaultTick is 15.625 ms: the interval of the clock unless nt!KeMaximumIncrement says otherwise.
const defaultTick = 156250

// TickLength returns the time one clock interrupt stands for.
func (s *System) TickLength() time.Duration {
	v, err := s.GlobalUint("KeMaximumIncrement", 4)
	if err != nil || v == 0 {
		v = defaultTick
	}
	return ticks100(v)
}

// ticks100 converts units of 100 ns, holding what a Duration cannot.
func ticks100(v uint64) time.Duration {
	const most = uint64(1<<63-1) / 100
	return time.Duration(min(v, most) * 100)
}

// ComputerName returns the machine's name, as the environments of its
// processes have it; "" when none can be read.
func (s *System) ComputerName(ctx context.Context) (string, error) {
	for p, err := range s.ActiveProcesses(ctx) {
		if err != nil {
			return "", err
		}
		block, err := p.Environment()
		if err != nil {
			continue
		}
		for v, err := range block.Variables() {
			if err != nil {
				break
			}
			if strings.EqualFold(v.Name, "COMPUTERNAME") {
				return v.Value, nil
			}
		}
	}
	return "", ctx.Err()
}

// Version returns the version of Windows, 10 and 0. The kernel shares it with
// every process.
func (s *System) Version() (major, minor uint32, err error) {
	a, err := memory.ReadUint(s.kernel, sharedUserData+sharedMajor, 4)
	if err == nil && a != 0 {
		b, berr := memory.ReadUint(s.kernel, sharedUserData+sharedMinor, 4)
		return uint32(a), uint32(b), berr
	}
	// Without that page the build tells: 10240 was the first of version 10.
	switch build := s.Build(); {
	case build >= 10240:
		return 10, 0, nil
	case build >= 9600:
		return 6, 3, nil
	case build >= 9200:
		return 6, 2, nil
	case build >= 7600:
		return 6, 1, nil
	case build >= 6000:
		return 6, 0, nil
	case build >= 3790:
		return 5, 2, nil
	}
	return 5, 1, err
}

// SystemRangeStart returns the lowest address of the kernel's half
// (nt!MmSystemRangeStart).
func (s *System) SystemRangeStart() uint64 {
	if v, err := s.GlobalUint("MmSystemRangeStart", 8); err == nil && v>>56 == 0xff {
		return v
	}
	return 0xffff800000000000
}
