package command

import (
	"context"
	"fmt"
	"math/bits"
	"time"

	"kdap/engine/format"
	"kdap/engine/memory"
	"kdap/engine/types"
)

// valueCommands show what one number, or the memory at one address, means.
func valueCommands() []*Command {
	word := func(name, args, short string, run func(context.Context, *Session, *Call) error) *Command {
		return &Command{Names: []string{name}, Args: args, Short: short, Run: run}
	}
	return []*Command{
		word("!filetime", "Value", "show a FILETIME as a date", runFileTime),
		word("!whattime", "Ticks", "show a number of clock interrupts as a time", runWhatTime),
		word("!whatperftime", "Count", "show a value of the performance counter as a time", runWhatPerfTime),
		word("!str", "Address", "show an ANSI_STRING", stringCommand(narrowText)),
		word("!ustr", "Address", "show a UNICODE_STRING", stringCommand(wideText)),
		word("!hstring", "Address", "show the text of an HSTRING", runHString),
		word("!hstring2", "Address", "show the text of an HSTRING with its header", runHString),
		word("!bitcount", "Address Bytes", "count the bits that are set in a range of memory", runBitCount),
	}
}

// runFileTime writes a FILETIME in the computer's own zone, as !filetime does.
func runFileTime(_ context.Context, s *Session, c *Call) error {
	v, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	if !format.ValidFileTime(v) {
		return Failf("%x is not a time", v)
	}
	t := format.FileTime(v).In(time.Local)
	_, offset := t.Zone()
	sign := '+'
	if offset < 0 {
		sign, offset = '-', -offset
	}
	s.printf("%2d/%2d/%d %02d:%02d:%02d.%03d (UTC %c %d:%02d)\n", t.Month(), t.Day(), t.Year(), t.Hour(), t.Minute(), t.Second(),
		t.Nanosecond()/1e6, sign, offset/3600, offset/60%60)
	return nil
}

func runWhatTime(_ context.Context, s *Session, c *Call) error {
	ticks, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	tick := uint64(s.sys.TickLength() / 100)
	s.printf("%d Ticks in Standard Time: %s\n", ticks, dayText(scaled(ticks, tick, 1)))
	return nil
}

// perfFrequency is KUSER_SHARED_DATA.QpcFrequency (ntddk.h), since Windows 8.
const perfFrequency = 0x300

func runWhatPerfTime(_ context.Context, s *Session, c *Call) error {
	count, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	frequency, err := memory.ReadUint(s.sys.Kernel(), kuserData+perfFrequency, 8)
	if err != nil || frequency == 0 {
		return s.failure(err, "Unable to read the frequency of the performance counter")
	}
	s.printf("%d Performance Counter in Standard Time: %s\n", count, dayText(scaled(count, ticksPerSecond, frequency)))
	return nil
}

// scaled is v*n/d, with all bits of the product.
func scaled(v, n, d uint64) uint64 {
	hi, lo := bits.Mul64(v, n)
	if hi >= d {
		return ^uint64(0)
	}
	q, _ := bits.Div64(hi, lo, d)
	return q
}

// dayText writes units of 100 ns as the time of a day: " 15:02:16.040s".
func dayText(units uint64) string {
	ms := units / 10_000
	return fmt.Sprintf("%3d:%02d:%02d.%03ds", ms/3_600_000%24, ms/60_000%60, ms/1000%60, ms%1000)
}

// A counted string: two lengths of 16 bits, then a pointer at its own alignment
// (ntdef.h).
func stringCommand(read func(space memory.Space, addr uint64, n int) (string, error)) func(context.Context, *Session, *Call) error {
	return func(_ context.Context, s *Session, c *Call) error {
		addr, err := s.extensionNumber(c)
		if err != nil {
			return err
		}
		size := s.userPointer()
		lengths, err := memory.ReadUint(s.space(), addr, 4)
		if err != nil {
			return s.failure(err, fmt.Sprintf("Unable to read the string at %s", s.addressText(addr)))
		}
		buffer, err := memory.ReadUint(s.space(), addr+uint64(size), size)
		if err != nil {
			return s.failure(err, fmt.Sprintf("Unable to read the string at %s", s.addressText(addr)))
		}
		length, most := int(lengths&0xffff), lengths>>16
		text, err := read(s.space(), buffer, length)
		if err != nil {
			return s.failure(err, fmt.Sprintf("Unable to read the text at %s", s.addressText(buffer)))
		}
		s.printf("String(%d,%d) at %s: %s\n", length, most, s.addressText(buffer), visible(text))
		return nil
	}
}

func narrowText(space memory.Space, addr uint64, n int) (string, error) {
	b, err := memory.ReadBytes(space, addr, n)
	return string(b), err
}

func wideText(space memory.Space, addr uint64, n int) (string, error) {
	b, err := memory.ReadBytes(space, addr, n&^1)
	return types.UTF16(b), err
}

// HSTRING_HEADER of 64-bit code (hstring.h has its size; public symbols of
// combase its members): flags, length in characters, two words, the text.
const (
	hstringLength = 0x4
	hstringText   = 0x10
	hstringText32 = 0xc
)

// maxHString bounds the text that is shown.
const maxHString = 1 << 16

func runHString(_ context.Context, s *Session, c *Call) error {
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	if addr == 0 { // the empty text
		s.printf("Text: \"\"\n")
		return nil
	}
	flags, err := memory.ReadUint(s.space(), addr, 4)
	length, lerr := memory.ReadUint(s.space(), addr+hstringLength, 4)
	at := addr + hstringText
	if s.userPointer() == 4 {
		at = addr + hstringText32
	}
	pointer, perr := memory.ReadUint(s.space(), at, s.userPointer())
	if err != nil || lerr != nil || perr != nil {
		return s.failure(err, fmt.Sprintf("Unable to read the HSTRING at %s", s.addressText(addr)))
	}
	text, err := wideText(s.space(), pointer, int(min(length, maxHString))*2)
	if err != nil {
		return s.failure(err, fmt.Sprintf("Unable to read the text at %s", s.addressText(pointer)))
	}
	if c.Name[len(c.Name)-1] == '2' {
		s.printf("Flags: %x\nLength: %d\nBuffer: %s\n", flags, length, s.addressText(pointer))
	}
	s.printf("Text: \"%s\"\n", visible(text))
	return nil
}

func runBitCount(ctx context.Context, s *Session, c *Call) error {
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	size, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	set := 0
	buf := make([]byte, memory.PageSize)
	for done := uint64(0); done < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(size-done, memory.PageSize)]
		if n, err := s.space().Read(addr+done, b); err != nil {
			return s.failure(err, fmt.Sprintf("Unable to read memory at %s", s.addressText(addr+done+uint64(n))))
		}
		for _, v := range b {
			set += bits.OnesCount8(v)
		}
		done += uint64(len(b))
	}
	s.printf("%#x bits are set in %#x bytes\n", set, size)
	return nil
}
