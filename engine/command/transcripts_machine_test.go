package command

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"kdap/engine/dumptest"
)

// The machine and registry half of the transcripts: the values to lay down are
// read from their text, the answers must be that text.

const (
	storyBuild     = "19041.1.amd64fre.vb_release.191206-1406"
	storyName      = "THINKPAD-X280"
	storySoftware  = 0xffffa58428b62000 // the hive of the transcripts 8 to 10
	storyView      = 0x22eaab61000      // where its file lies, from the cell 0x20 at its KeyNode
	storyBuckets   = 1024               // of its table of open keys: any size from 32 to 1024 gives the transcript's
	storySignature = 0xea00000000
)

// storyHex reads a hexadecimal number of a transcript.
func storyHex(t testing.TB, s string) uint64 {
	t.Helper()
	v, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func utf16z(s string) (b []byte) {
	for _, c := range utf16.Encode([]rune(s + "\x00")) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}

var registryTypes = map[string]uint32{
	"REG_SZ": dumptest.RegString, "REG_BINARY": dumptest.RegBinary, "REG_DWORD": dumptest.RegDword, "REG_QWORD": dumptest.RegQword,
	"REG_FULL_RESOURCE_DESCRIPTOR": dumptest.RegFullResourceDescriptor,
}

// storyProcessor are the values of transcript 2.
func storyProcessor(t *testing.T) (values []dumptest.TruthValue) {
	line := regexp.MustCompile(`^(.+) = (REG_\w+) (.*)$`)
	for _, l := range findTranscript(t, "2", "!sysinfo cpuinfo").lines {
		m := line.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		v := dumptest.TruthValue{Name: m[1], Type: registryTypes[m[2]]}
		switch v.Type {
		case dumptest.RegString:
			v.Data = utf16z(m[3])
		case dumptest.RegDword:
			n, _ := strconv.ParseUint(m[3], 10, 32)
			v.Data = binary.LittleEndian.AppendUint32(nil, uint32(n))
		case dumptest.RegQword:
			v.Data = binary.LittleEndian.AppendUint64(nil, storyHex(t, m[3]))
		default:
			for b := range strings.SplitSeq(m[3], ",") {
				v.Data = append(v.Data, byte(storyHex(t, b)))
			}
		}
		values = append(values, v)
	}
	if len(values) != 8 {
		t.Fatalf("transcript 2 has %d values", len(values))
	}
	return values
}

// storySMBIOS is the table of transcript 3.
func storySMBIOS(t *testing.T) *dumptest.SMBIOS {
	tr := findTranscript(t, "3", "!sysinfo machineid")
	text, number := map[string]string{}, map[string]byte{}
	for _, l := range tr.lines[1:] {
		name, v, _ := strings.Cut(l, " = ")
		text[name] = v
		n, _ := strconv.ParseUint(v, 10, 8)
		number[name] = byte(n)
	}
	var major, minor, dmi byte
	var size int
	if _, err := fmt.Sscanf(tr.lines[0], "Machine ID Information [From Smbios %d.%d, DMIVersion %d, Size=%d]", &major, &minor, &dmi, &size); err != nil {
		t.Fatal(err)
	}
	s := &dumptest.SMBIOS{Major: major, Minor: minor, Revision: dmi}
	bios := append([]byte{1, 2, 0, 0xe0, 3, 0xff}, make([]byte, 8)...)
	s.Add(0, append(bios, 3, 0xd, number["BiosMajorRelease"], number["BiosMinorRelease"], number["FirmwareMajorRelease"], number["FirmwareMinorRelease"]),
		text["BiosVendor"], text["BiosVersion"], text["BiosReleaseDate"])
	system := append([]byte{1, 2, 3, 4}, make([]byte, 16)...)
	s.Add(1, append(system, 6, 5, 6), text["SystemManufacturer"], text["SystemProductName"], text["SystemVersion"], "PF000000",
		text["SystemSKU"], text["SystemFamily"])
	s.Add(2, []byte{1, 2, 3, 4, 0, 9, 0, 0, 0, 10, 0}, text["BaseBoardManufacturer"], text["BaseBoardProduct"], text["BaseBoardVersion"], "L1HF00000")
	return s.End(size)
}

// TestStorySpeeds: the samples of reference/commands/sysinfo.md are of the same
// computer.
func TestStorySpeeds(t *testing.T) {
	m, _ := storyMachine(t, dumptest.Firmware{}, false)
	s := writtenSession(t, m.Finish())
	for line, want := range map[string]string{
		"!sysinfo cpuspeed":     "CPUID:        \"Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz\"\nMaxSpeed:     1800\nCurrentSpeed: 1992\n",
		"!sysinfo cpumicrocode": "Initial Microcode Version: 00000000:00000000\nCached Microcode Version:  ea:00000000\nProcessor Family:          06\nProcessor Model:           8e\nProcessor Stepping:        0a\n",
		"!cpuid 3":              "CP  F/M/S  Manufacturer     MHz\n 3  6,142,10 GenuineIntel    1992\n",
	} {
		if got := answer(s, line); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// storyHives loads the hives of transcript 7.
func storyHives(t *testing.T, m *dumptest.Machine) (hives []*dumptest.Hive) {
	mounts := []struct{ mount, file string }{
		{`\REGISTRY`, ""},
		{`\REGISTRY\MACHINE\SYSTEM`, ""},
		{`\REGISTRY\MACHINE\HARDWARE`, ""},
		{`\REGISTRY\MACHINE\SOFTWARE`, `\SystemRoot\System32\Config\SOFTWARE`},
		{`\REGISTRY\MACHINE\BCD00000000`, `\Device\HarddiskVolume1\EFI\Microsoft\Boot\BCD`},
		{`\REGISTRY\USER\.DEFAULT`, `\SystemRoot\System32\Config\DEFAULT`},
		{`\REGISTRY\MACHINE\SECURITY`, `\SystemRoot\System32\Config\SECURITY`},
		{`\REGISTRY\MACHINE\SAM`, `\SystemRoot\System32\Config\SAM`},
	}
	for _, l := range findTranscript(t, "7", "!reg hivelist").lines {
		f := strings.Split(l, "|")
		if len(f) != 8 || !strings.Contains(f[1], "ffff") {
			continue
		}
		for i := range f {
			f[i] = strings.TrimSpace(f[i])
		}
		at := mounts[len(hives)]
		o := dumptest.HiveOptions{
			Mount: at.mount, File: at.file, Pool: at.file == "" && f[7] != "SYSTEM", Addr: storyHex(t, f[1]), BaseBlock: storyHex(t, f[6]),
			Lengths: [2]uint32{uint32(storyHex(t, f[2])), uint32(storyHex(t, f[4]))},
		}
		if f[7] != "<NONAME>" {
			o.Name = f[7]
		}
		for i, text := range []string{f[3], f[5]} {
			if v := storyHex(t, text); v != 0 && v&0xfff == 0 {
				o.Maps[i] = v // else it is in the hive itself
			}
		}
		if o.Addr == storySoftware {
			o.Base, o.Buckets = storyView, storyBuckets
		}
		hives = append(hives, m.AddHive(o))
	}
	if len(hives) != len(mounts) {
		t.Fatalf("transcript 7 has %d hives", len(hives))
	}
	return hives
}

var subKeyLine = regexp.MustCompile(`^([0-9a-f]+) {2,}(\S.*)$`)

// storyKeys lays the sub keys that a transcript lists.
func storyKeys(t *testing.T, k *dumptest.HiveKey, tr transcript) {
	n := 0
	for _, l := range tr.lines {
		if m := subKeyLine.FindStringSubmatch(l); m != nil {
			k.Sub(m[2]).At(uint32(storyHex(t, m[1]) - 4 - storyView))
			n++
		}
	}
	if n < 9 {
		t.Fatalf("%s %s has %d sub keys", tr.number, tr.command, n)
	}
}

var openKeyLine = regexp.MustCompile(`([0-9a-f]{8}) kcb=([0-9a-f]{16}) cell=([0-9a-f]{8}) f=([0-9a-f]{8}) (\\.*)`)

// storyOpenKeys opens the keys of transcript 8.
func storyOpenKeys(t *testing.T, h *dumptest.Hive) {
	const mount = `\REGISTRY\MACHINE\SOFTWARE`
	n := 0
	for _, l := range findTranscript(t, "8", "!reg openkeys").lines {
		m := openKeyLine.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		n++
		k, cell := h.Root(), uint32(storyHex(t, m[3]))
		if below, ok := strings.CutPrefix(m[5], mount+`\`); ok {
			i := strings.LastIndex(below, `\`)
			k = h.Key(below[:i])
			if cell>>31 != 0 {
				k = k.VolatileSub(below[i+1:])
			} else {
				k = k.Sub(below[i+1:])
			}
			k.At(cell)
		}
		k.Open(storyHex(t, m[2]))
	}
	if n != 4 {
		t.Fatalf("transcript 8 has %d keys", n)
	}
}

// storyMachine is the computer of the story. Without blobs its firmware is only
// in the registry.
func storyMachine(t *testing.T, f dumptest.Firmware, inRegistry bool) (*dumptest.Machine, []*dumptest.Hive) {
	f.SMBIOS, f.CPU = storySMBIOS(t), storyProcessor(t)
	m := dumptest.NewMachine(dumptest.Options{
		Runs: []dumptest.Run{{Base: 1, Count: 0x9e}, {Base: 0x100, Count: 0x4000}}, Processors: 8, Computer: storyName, BuildLab: storyBuild, Firmware: &f,
		CPU: &dumptest.CPU{Vendor: "GenuineIntel", Family: 6, Model: 142, Stepping: 10, MHz: 1992, Microcode: storySignature, Features: 0x311b3fff},
	})
	m.AddDriver("keypad.sys")
	hives := storyHives(t, m)
	system, hardware := hives[1], hives[2]
	control := system.Key(`ControlSet001\Control\ComputerName`)
	control.Sub("ComputerName").SetString("ComputerName", storyName)
	control.VolatileSub("ActiveComputerName").SetString("ComputerName", storyName)
	system.Key("Select").SetDword("Current", 1)
	processor := hardware.Key(`DESCRIPTION\System\CentralProcessor\0`)
	for _, v := range f.CPU[:7] { // MSR8B is no value of the registry
		processor.Set(v.Name, v.Type, v.Data)
	}
	if inRegistry {
		system.Key(`ControlSet001\Services\mssmbios`).VolatileSub("Data").Set("SMBiosData", dumptest.RegBinary, f.SMBIOS.Bytes())
	}
	return m, hives
}

// TestMachineTranscripts replays 1 to 4 and 6, with the firmware's data in each
// place where a dump can have it.
func TestMachineTranscripts(t *testing.T) {
	for _, place := range []struct {
		name       string
		firmware   dumptest.Firmware
		inRegistry bool
	}{
		{"secondary_data", dumptest.Firmware{}, false},
		{"registry", dumptest.Firmware{Absent: true}, true},
		{"physical_table", dumptest.Firmware{Absent: true, Physical: true}, false},
	} {
		t.Run(place.name, func(t *testing.T) {
			m, _ := storyMachine(t, place.firmware, place.inRegistry)
			s := writtenSession(t, m.Finish())
			for _, tr := range []transcript{
				findTranscript(t, "1", "!analyze -v").cut("").cut("Arg4:"),
				findTranscript(t, "2", "!sysinfo"), findTranscript(t, "3", "!sysinfo"),
				findTranscript(t, "6", "!mex.ver"), findTranscript(t, "6", "!mex.computername"),
			} {
				tr.check(t, answer(s, tr.command))
			}
		})
	}
}

// TestProcessorTranscript replays 4: the microcode's revisions are values of
// the registry that the copy in the secondary data does not have.
func TestProcessorTranscript(t *testing.T) {
	m, hives := storyMachine(t, dumptest.Firmware{}, false)
	signature := binary.LittleEndian.AppendUint64(nil, storySignature)
	hives[2].Key(`DESCRIPTION\System\CentralProcessor\0`).Set("Update Signature", dumptest.RegBinary, signature).
		Set("Previous Update Signature", dumptest.RegBinary, signature)
	s := writtenSession(t, m.Finish())
	tr := findTranscript(t, "4", "!cpuinfo")
	tr.check(t, answer(s, tr.command))
}

// TestRegistryTranscripts replays 7 to 10.
func TestRegistryTranscripts(t *testing.T) {
	m, hives := storyMachine(t, dumptest.Firmware{}, false)
	software := hives[3]
	open, query, info := findTranscript(t, "8", "!reg openkeys"), findTranscript(t, "9", "!reg querykey"), findTranscript(t, "10", "!reg keyinfo")
	storyKeys(t, software.Root(), query)
	storyKeys(t, software.Key("Microsoft"), info)
	storyOpenKeys(t, software)
	defender, picture := storyDefender(t, software)
	s := writtenSession(t, m.Finish())

	for _, tr := range []transcript{
		findTranscript(t, "7", "!reg hivelist"),
		open, query,
		info.cut("AMSI").cut("Windows Defender Security Center"),
		defender(picture),
	} {
		tr.check(t, answer(s, tr.command))
	}
}

// storyDefender lays the key of the picture in 10. Its sub keys overlap at the
// invented addresses, so they are the writer's; the returned function puts
// those into the picture.
func storyDefender(t *testing.T, software *dumptest.Hive) (func(transcript) transcript, transcript) {
	var tr transcript
	for _, x := range transcripts(t) {
		if x.number == "10" && !x.text {
			tr = x
		}
	}
	k := software.Key(`Microsoft\Windows Defender`)
	shown := map[string]*dumptest.HiveKey{}
	value := regexp.MustCompile(`^(REG_\w+) +(\w+) +(.*?)\s*$`)
	binaryData := regexp.MustCompile(`^0x([0-9A-F]+) - (.*)`)
	data := ""
	for _, l := range tr.lines {
		if m := subKeyLine.FindStringSubmatch(l); m != nil {
			shown[m[1]] = k.Sub(m[2])
			continue
		}
		m := value.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		switch typ := registryTypes[m[1]]; typ {
		case dumptest.RegString:
			k.SetString(m[2], m[3])
		case dumptest.RegDword:
			k.SetDword(m[2], uint32(storyHex(t, m[3])))
		default:
			b := binaryData.FindStringSubmatch(m[3])
			data = b[1]
			var raw bytes.Buffer
			for _, x := range strings.Fields(b[2]) {
				raw.WriteByte(byte(storyHex(t, x)))
			}
			k.Set(m[2], typ, raw.Bytes())
		}
	}
	if len(shown) != 7 || data == "" {
		t.Fatalf("the picture of transcript 10 has %d sub keys", len(shown))
	}
	return func(tr transcript) transcript {
		text := strings.Join(tr.lines, "\n")
		for was, key := range shown {
			text = strings.ReplaceAll(text, was+" ", fmt.Sprintf("%x ", key.NodeAddr()))
		}
		_, cell := k.Value("OOBEInstallTime")
		text = strings.ReplaceAll(text, "0x"+data, fmt.Sprintf("0x%X", software.CellAddr(cell)))
		tr.lines = strings.Split(text, "\n")
		return tr
	}, tr
}
