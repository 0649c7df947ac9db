package command

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kdap/internal/truth"
)

// TestSysinfo compares with what lab19041.json says of the machine.
func TestSysinfo(t *testing.T) {
	s := labSession(t)
	var lab struct {
		SMBIOS struct {
			MachineID, CPUInfo []string
			Size               int `json:"smbios_size"`
			Structures         int
			Processor          struct {
				Name    string
				Max     int `json:"max_mhz"`
				Current int `json:"current_mhz"`
			}
		}
	}
	truth.JSON(t, &lab, "dumps", "lab19041.json")
	for line, want := range map[string][]string{"!sysinfo machineid": lab.SMBIOS.MachineID, "!sysinfo cpuinfo": lab.SMBIOS.CPUInfo} {
		if diff := cmp.Diff(strings.Join(want, "\n")+"\n", answer(s, line)); diff != "" {
			t.Errorf("%s: -want +here\n%s", line, diff)
		}
	}
	all := answer(s, "!sysinfo smbios -v")
	if n := strings.Count(all, " - Handle "); n != lab.SMBIOS.Structures {
		t.Errorf("!sysinfo smbios -v shows %d structures, want %d", n, lab.SMBIOS.Structures)
	}
	want := `[Memory Device (Type 17) - Length 40 - Handle 0009h]
  Physical Memory Array Handle  0008h
  Memory Error Info Handle      [Not Provided]
  Total Width                   64 bits
  Data Width                    64 bits
  Size                          512MB
  Form Factor                   0dh - SODIMM
  Device Set                    [None]
  Device Locator                DIMM 0
  Bank Locator                  P0 CHANNEL A
  Memory Type                   1ah - DDR4
`
	if !strings.Contains(all, want) {
		t.Errorf("!sysinfo smbios -v lacks\n%sit is\n%s", want, all)
	}
	if got := answer(s, "!sysinfo smbios -memory"); strings.Contains(got, "(Type 0)") || !strings.Contains(got, "(Type 17)") {
		t.Errorf("!sysinfo smbios -memory:\n%s", got)
	}
}

// TestNoFirmware: the x64 sample has no SMBIOS table; the words are those of
// reference/commands/sysinfo.md.
func TestNoFirmware(t *testing.T) {
	s := dumpSession(t, "triage_x64", false)
	want := "sysinfo: could not find necessary interfaces.\nsysinfo: note that mssmbios.sys must be loaded (XPSP2+).\n"
	if diff := cmp.Diff(want, answer(s, "!sysinfo machineid")); diff != "" {
		t.Errorf("-want +here\n%s", diff)
	}
	if got := answer(s, "!sysinfo gbl"); !strings.Contains(got, "IVRS") || !strings.Contains(got, "HPET") {
		t.Errorf("tables behind a cut one are missing:\n%s", got)
	}
}

// TestProcessorBlocks: layouts of reference/commands/sysinfo.md and
// transcripts.md 4, values of lab19041.json.
func TestProcessorBlocks(t *testing.T) {
	s := labSession(t)
	tests := []struct{ line, want string }{
		{"!cpuinfo 1", "CP  F/M/S Manufacturer  MHz PRCB Signature    MSR 8B Signature Features ArchitectureClass\n" +
			" 1 23,113,0 AuthenticAMD 3593 0000000000000000                   311b3fff 0\n"},
		{"!cpuid 2", "CP  F/M/S  Manufacturer     MHz\n 2 23,113,0 AuthenticAMD    3593\n"},
		{"!irql", "Debugger saved IRQL for processor 0x0 -- 0 (LOW_LEVEL)\n"},
		{"!cpuinfo 9", "9 is not a valid processor\n"},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, answer(s, tt.line)); diff != "" {
			t.Errorf("%s: -want +here\n%s", tt.line, diff)
		}
	}
}
