package command

import (
	"context"
	"strings"

	"kdap/engine/types"
)

func controlAreaCommands() []*Command {
	return []*Command{{
		Names: []string{"!ca"}, Args: "Address", Short: "show a control area: the file that memory is a view of, its parts", Run: runControlArea,
	}}
}

// maxSubsections bounds the parts of a control area that are shown.
const maxSubsections = 1 << 12

// controlAreaFlags are the bits of _MMSECTION_FLAGS with the words for them.
var controlAreaFlags = []struct{ member, words string }{
	{"BeingDeleted", "BeingDeleted"},
	{"BeingCreated", "BeingCreated"},
	{"BeingPurged", "BeingPurged"},
	{"NoModifiedWriting", "NoModifiedWriting"},
	{"FailAllIo", "FailAllIo"},
	{"Image", "Image"},
	{"Based", "Based"},
	{"File", "File"},
	{"PhysicalMemory", "PhysicalMemory"},
	{"Reserve", "Reserve"},
	{"Commit", "Commit"},
	{"NoChange", "NoChange"},
	{"WasPurged", "WasPurged"},
	{"UserReference", "UserReference"},
	{"GlobalMemory", "GlobalMemory"},
	{"DeleteOnClose", "DeleteOnClose"},
	{"FilePointerNull", "FilePointerNull"},
	{"UserWritable", "UserWritable"},
	{"SystemVaAllocated", "SystemVaAllocated"},
}

func runControlArea(ctx context.Context, s *Session, c *Call) error {
	if c.Args.Done() {
		return Failf("usage: !ca Address")
	}
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	area := s.sys.Struct("_CONTROL_AREA", addr)
	number := func(o types.Object) uint64 {
		v, err := o.Uint()
		if err != nil {
			s.notef("%v", err)
		}
		return v
	}
	segment, err := area.Field("Segment").Uint()
	if err != nil {
		s.notef("%v", err)
		return Failf("Unable to read the control area at %016x", addr)
	}
	// The two name each other.
	if back, err := s.sys.Struct("_SEGMENT", segment).Field("ControlArea").Uint(); err != nil || back != addr {
		if err != nil {
			s.notef("%v", err)
		}
		return Failf("%016x is not a valid control area", addr)
	}
	file := number(area.Field("FilePointer.Object")) &^ 0xf
	s.printf("\nControlArea  @ %016x\n", addr)
	s.printf("  Segment      %016x  Flink      %016x  Blink        %016x\n", segment, number(area.Field("ListHead.Flink")), number(area.Field("ListHead.Blink")))
	s.printf("  Section Ref  %16x  Pfn Ref    %16x  Mapped Views %16x\n",
		number(area.Field("NumberOfSectionReferences")), number(area.Field("NumberOfPfnReferences")), number(area.Field("NumberOfMappedViews")))
	s.printf("  User Ref     %16x  ModWrite   %16x  Locked Pages %16x\n",
		number(area.Field("NumberOfUserReferences")), number(area.Field("ModifiedWriteCount")), number(area.Field("LockedPages")))
	s.printf("  File Object  %016x\n", file)
	var words []string
	for _, f := range controlAreaFlags {
		if v, err := area.Field("u.Flags." + f.member).Uint(); err == nil && v != 0 {
			words = append(words, f.words)
		}
	}
	s.printf("  Flags (%x) %s\n\n", number(area.Field("u.LongFlags")), strings.Join(words, " "))
	if file != 0 {
		if name, err := s.sys.FileObject(file).Name(); err == nil {
			s.printf("      %s\n\n", visible(name))
		} else {
			s.notef("%v", err)
		}
	}
	seg := s.sys.Struct("_SEGMENT", segment)
	s.printf("Segment @ %016x\n", segment)
	s.printf("  ControlArea     %016x  BasedAddress  %016x\n", addr, number(seg.Field("BasedAddress")))
	s.printf("  Total Ptes      %16x  Segment Size  %16x\n", number(seg.Field("TotalNumberOfPtes")), number(seg.Field("SizeOfSegment")))
	s.printf("  Committed       %16x  ProtoPtes     %016x\n\n", number(seg.Field("NumberOfCommittedPages")), number(seg.Field("PrototypePte")))
	return s.showSubsections(ctx, addr, area)
}

// showSubsections prints the parts of a control area, which lie behind it and
// are linked.
func (s *Session) showSubsections(ctx context.Context, addr uint64, area types.Object) error {
	t, err := s.sys.Type("_CONTROL_AREA")
	if err != nil {
		return err
	}
	seen := map[uint64]bool{}
	for i, at := 1, area.Addr()+t.Size; at != 0 && i <= maxSubsections && !seen[at]; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		seen[at] = true
		sub := s.sys.Struct("_SUBSECTION", at)
		owner, err := sub.Field("ControlArea").Uint()
		if err != nil || owner != addr {
			s.notef("subsection %d at %x is not one of this control area", i, at)
			return nil
		}
		number := func(member string) uint64 {
			v, err := sub.Field(member).Uint()
			if err != nil {
				s.notef("%v", err)
			}
			return v
		}
		next := number("NextSubsection")
		s.printf("Subsection %d @ %016x\n", i, at)
		s.printf("  ControlArea  %016x  Starting Sector  %8x  Number Of Sectors %8x\n", owner, number("StartingSector"), number("NumberOfFullSectors"))
		s.printf("  Base Pte     %016x  Ptes In Subsect  %8x  Unused Ptes       %8x\n", number("SubsectionBase"), number("PtesInSubsection"), number("UnusedPtes"))
		s.printf("  Next         %016x\n\n", next)
		at = next
	}
	return nil
}
