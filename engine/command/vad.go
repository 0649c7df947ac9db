package command

import (
	"context"
	"fmt"
	"iter"
	"strconv"

	"kdap/engine/memory"
	"kdap/engine/types"
	"kdap/engine/windows"
)

// contextProcess returns the process of the context, or says that there is none.
func (s *Session) contextProcess() (windows.Process, error) {
	if p := s.scope.process; p.Addr() != 0 {
		return p, nil
	}
	return windows.Process{}, Failf("Unable to get the current process data")
}

// A vadTotal sums what !vad says at its end.
type vadTotal struct {
	count, levels, deepest int
	private, shared        uint64 // pages
}

const vadHeader = "VAD             Level         Start             End              Commit\n"

func runVAD(ctx context.Context, s *Session, c *Call) error {
	p, err := s.contextProcess()
	if err != nil {
		return err
	}
	arg, err := s.extensionNumberOr(c, 0)
	if err != nil {
		return err
	}
	flag, err := s.extensionNumberOr(c, 0)
	if err != nil {
		return err
	}
	switch {
	case arg != 0 && arg < userLimit:
		return s.vadOfAddress(p, arg, flag == 1)
	case arg != 0 && flag == 1:
		for v, err := range p.VADsFrom(ctx, arg) {
			if err == nil && v.Addr() == arg {
				return s.vadDetails(v)
			}
		}
		return Failf("Unable to read VAD at %016x", arg)
	case arg != 0:
		return s.vadTable(ctx, p.VADsFrom(ctx, arg))
	}
	return s.vadTable(ctx, p.VADs(ctx))
}

// vadOfAddress shows the range that an address of the process lies in.
func (s *Session) vadOfAddress(p windows.Process, va uint64, details bool) error {
	v, ok, err := p.VADAt(va)
	switch {
	case err != nil:
		return s.unable("Unable to read the VADs", err)
	case !ok:
		return Failf("Unable to find VAD for address %x", va)
	case details:
		return s.vadDetails(v)
	}
	s.printf("%s", vadHeader)
	return s.vadRow(v, &vadTotal{})
}

// vadTable shows ranges and their sums.
func (s *Session) vadTable(ctx context.Context, vads iter.Seq2[windows.VAD, error]) error {
	s.printf("%s", vadHeader)
	var sum vadTotal
	for v, err := range vads {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.notef("%v", err)
			continue
		}
		if err := s.vadRow(v, &sum); err != nil {
			return err
		}
	}
	average := 0
	if sum.count > 0 {
		average = sum.levels / sum.count
	}
	s.printf("\nTotal VADs: %d, average level: %d, maximum depth: %d\n", sum.count, average, sum.deepest)
	s.printf("Total private commit: %#x pages (%d KB)\n", sum.private, sum.private*4)
	s.printf("Total shared commit:  %#x pages (%d KB)\n", sum.shared, sum.shared*4)
	return nil
}

// userLimit is where the addresses of processes end.
const userLimit = 1 << 47

// vadRow prints one range and adds it to the sums. The average counts levels
// from one.
func (s *Session) vadRow(v windows.VAD, sum *vadTotal) error {
	kind, err := v.Kind()
	if err != nil {
		s.notef("%v", err)
	}
	protection, err := v.Protection()
	if err != nil {
		s.notef("VAD %#x: %v", v.Addr(), err)
	}
	commit, counted, err := v.CommitPages()
	if err != nil {
		s.notef("VAD %#x: %v", v.Addr(), err)
	}
	shown := "-1"
	switch {
	case err != nil:
		shown = "???"
	case counted:
		shown = strconv.FormatUint(commit, 10)
		sum.private += commit
	}
	sum.count++
	sum.levels += v.Level + 1
	sum.deepest = max(sum.deepest, v.Level)
	row := vadRowText(v.Addr(), v.Level, v.Start>>memory.PageShift, v.End>>memory.PageShift, shown, vadWords(v, kind), protection.String())
	s.printf("%s%s\n", row, s.vadBacking(v, kind, sum))
	return nil
}

// vadRowText is a row without what is behind a view.
func vadRowText(addr uint64, level int, start, end uint64, commit, words, protection string) string {
	return fmt.Sprintf("%016x %2d %16x %16x %15s %-13s%-19s", addr, level, start, end, commit, words, protection)
}

// vadWords are the debugger's words for the kinds of ranges.
func vadWords(v windows.VAD, kind windows.VADKind) string {
	words := "Mapped"
	if private, err := v.Private(); err == nil && private {
		words = "Private"
	}
	switch kind {
	case windows.VADImage:
		words += "  Exe"
	case windows.VADPhysical:
		words = "PhysicalMapping"
	case windows.VADAWE:
		words = "AWE"
	case windows.VADWriteWatch:
		words += " WriteWatch"
	case windows.VADLarge:
		words += " LargePagSec"
	case windows.VADRotate:
		words += " Rotate"
	}
	if v.NoChange() {
		words += " NO_CHANGE"
	}
	if len(words) >= 13 {
		words += " "
	}
	return words
}

// vadBacking names what is behind a view: its file, or how much of the paging
// file its section has.
func (s *Session) vadBacking(v windows.VAD, kind windows.VADKind, sum *vadTotal) string {
	if private, err := v.Private(); err != nil || private || kind == windows.VADPhysical {
		return ""
	}
	area, err := v.ControlArea()
	if err != nil {
		s.notef("VAD %#x: %v", v.Addr(), err)
		return ""
	}
	file, err := v.File()
	if err != nil {
		s.notef("VAD %#x: its file: %v", v.Addr(), err)
		return ""
	}
	if file != "" || area.Addr() == 0 {
		return visible(file)
	}
	commit, err := v.SectionCommit()
	if err != nil {
		s.notef("VAD %#x: its section: %v", v.Addr(), err)
		return "Pagefile section"
	}
	sum.shared += commit
	return fmt.Sprintf("Pagefile section, shared commit %#x", commit)
}

// vadDetails prints all of one range.
func (s *Session) vadDetails(v windows.VAD) error {
	kind, err := v.Kind()
	if err != nil {
		s.notef("%v", err)
	}
	protection, err := v.Protection()
	if err != nil {
		return Failf("Unable to read VAD at %016x: %v", v.Addr(), err)
	}
	commit, counted, _ := v.CommitPages()
	if !counted {
		commit = 0
	}
	get := func(o types.Object) uint64 {
		n, err := o.Uint()
		if err != nil {
			s.notef("VAD %#x: %v", v.Addr(), err)
		}
		return n
	}
	s.printf("\nVAD @ %x\n", v.Addr())
	start, end := v.Start>>memory.PageShift, v.End>>memory.PageShift
	section, err := v.Section()
	if err != nil { // private
		s.printf("  Start VPN %16x  End VPN %16x  Control Area  %016x\n", start, end, 0)
		s.printf("  FirstProtoPte %016x  LastPte %016x  Commit Charge %9x (%d)\n", 0, 0, commit, commit)
	} else {
		area, areaErr := v.ControlArea()
		if areaErr != nil {
			s.notef("VAD %#x: %v", v.Addr(), areaErr)
		}
		s.printf("  Start VPN %16x  End VPN %16x  Control Area  %016x\n", start, end, area.Addr())
		s.printf("  FirstProtoPte %016x  LastPte %016x  Commit Charge %9x (%d)\n",
			get(section.Field("FirstPrototypePte")), get(section.Field("LastContiguousPte")), commit, commit)
	}
	s.printf("  %s %s\n", vadWords(v, kind), protection)
	var sum vadTotal
	if text := s.vadBacking(v, kind, &sum); text != "" {
		s.printf("  %s\n", text)
	}
	s.printf("\n")
	return nil
}
