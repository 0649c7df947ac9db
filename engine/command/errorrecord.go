package command

import (
	"context"

	"kdap/engine/analyze"
	"kdap/engine/whea"
)

func errorRecordCommands() []*Command {
	return []*Command{{
		Names: []string{"!errrec"}, Args: "Address", Short: "show a hardware error record (WHEA)", Run: runErrorRecord,
	}}
}

const (
	thickRule = "===============================================================================\n"
	thinRule  = "-------------------------------------------------------------------------------\n"
)

// creators and notifications of records that have names.
var recordNames = map[string]string{
	"cf07c4bd-b789-4e18-b3c4-1f732cb57131": "Microsoft",
	"e8f56ffe-919c-4cc5-ba88-65abe14913bb": "Machine Check Exception",
	"2dce8bb1-bdd7-450e-b9ad-9cf4ebd4f890": "Corrected Machine Check",
	"4e292f96-d843-4a55-a8c2-d481f27ebeee": "Corrected Platform Error",
	"cf93c01f-1a16-4dfc-b8bc-9c4daf67c104": "PCI Express Error",
	"cc5263e8-9308-454a-89d0-340bd39bc98e": "INIT",
	"5bad89ff-b7e6-42c9-814a-cf2485d6e98a": "NMI",
	"3d61a466-ab40-409a-a698-f362d464b38f": "Boot Error Record",
	"667dd791-c6b3-4c27-8a6b-0f8e722deb41": "DMAr",
}

func recordName(g whea.GUID) string {
	if n, ok := recordNames[g.String()]; ok {
		return n
	}
	return "{" + g.String() + "}"
}

func runErrorRecord(_ context.Context, s *Session, c *Call) error {
	at, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	r, err := analyze.ReadErrorRecord(s.space(), at)
	if err != nil {
		s.notef("%v", err)
	}
	if r == nil {
		return Failf("Unable to read WHEA error record at %016x", at)
	}
	s.printf("%sCommon Platform Error Record @ %016x\n%s", thickRule, at, thinRule)
	row := func(label, layout string, args ...any) {
		s.printf("%-14s: "+layout+"\n", append([]any{label}, args...)...)
	}
	row("Record Id", "%016x", r.ID)
	row("Severity", "%s (%d)", r.Severity, uint32(r.Severity))
	row("Length", "%d", r.Length)
	row("Creator", "%s", recordName(r.Creator))
	row("Notify Type", "%s", recordName(r.Notify))
	if !r.Time.IsZero() {
		row("Timestamp", "%s (UTC)", r.Time.Format("1/2/2006 15:04:05"))
	}
	if r.HasPlatform {
		row("Platform Id", "{%s}", r.Platform)
	}
	row("Flags", "0x%08x", r.Flags)
	for i := range r.Sections {
		s.errorSection(at, i, &r.Sections[i])
	}
	return nil
}

func (s *Session) errorSection(at uint64, i int, sec *whea.Section) {
	s.printf("\n%sSection %-6d: %s\n%s", thickRule, i, sec.Name(), thinRule)
	row := func(label, layout string, args ...any) {
		s.printf("%-14s"+layout+"\n", append([]any{label}, args...)...)
	}
	row("Descriptor", "@ %016x", at+uint64(sec.Descriptor))
	row("Section", "@ %016x", at+uint64(sec.Offset))
	row("Offset", ": %d", sec.Offset)
	row("Length", ": %d", sec.Length)
	primary := ""
	if sec.Primary() {
		primary = " Primary"
	}
	row("Flags", ": 0x%08x%s", sec.Flags, primary)
	row("Severity", ": %s", sec.Severity)
	if sec.FRU != "" {
		row("FRU Text", ": %s", visible(sec.FRU))
	}
	s.printf("\n")
	fields := sec.Fields()
	switch {
	case !sec.Known():
		s.printf("*** Unknown section format ***\n")
	case len(fields) == 0:
		s.printf("No valid data fields are present.\n")
	}
	for _, f := range fields {
		row(f.Label, ": %s", visible(f.Value))
	}
}
