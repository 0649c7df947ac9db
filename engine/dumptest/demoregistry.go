package dumptest

import (
	"bytes"
	"fmt"
	"time"
)

// demoUser is the account of the demo's desktop.
const demoUser = `\REGISTRY\USER\S-1-5-21-1904477301-553214990-827140166-1001`

const (
	demoProcessor = "AMD Ryzen 5 5600U with Radeon Graphics         " // as CPUID pads it
	keyRead       = 0x20019
)

// demoFirmware is what the office computer's firmware says.
func demoFirmware() *Firmware {
	return &Firmware{SMBIOS: demoSMBIOS(), CPU: demoProcessorValues(0)}
}

func demoProcessorValues(n int) []TruthValue {
	text := func(name, v string) TruthValue { return TruthValue{name, RegString, utf16Bytes(v + "\x00")} }
	number := func(name string, v uint32) TruthValue { return TruthValue{name, RegDword, le.AppendUint32(nil, v)} }
	descriptor := append(bytes.Repeat([]byte{0xff}, 8), make([]byte, 8)...)
	return []TruthValue{
		number("~MHz", defaultCPU.MHz),
		{"Component Information", RegBinary, append([]byte{0, 0, 0, 0, byte(n)}, make([]byte, 11)...)},
		{"Configuration Data", RegFullResourceDescriptor, descriptor},
		text("Identifier", fmt.Sprintf("AMD64 Family %d Model %d Stepping %d", defaultCPU.Family, defaultCPU.Model, defaultCPU.Stepping)),
		text("ProcessorNameString", demoProcessor), number("Update Status", 1), text("VendorIdentifier", defaultCPU.Vendor),
	}
}

// demoSMBIOS is a table with the structures that every firmware has.
func demoSMBIOS() *SMBIOS {
	s := &SMBIOS{Major: 3, Minor: 2}
	defaultStructures(s)
	s.Add(3, append([]byte{1, 0x0a, 2, 3, 0, 3, 3, 3, 3}, make([]byte, 9)...), "Tidewater", "Rev C", "TW-0001")
	cpu := append([]byte{1, 3, 0x6b, 2}, make([]byte, 8)...)
	cpu = append(cpu, 3, 0x8c)
	for _, v := range []uint16{100, 4250, 2712} { // clock, highest and present speed
		cpu = le.AppendUint16(cpu, v)
	}
	cpu = append(cpu, 0x41, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 4, 4, 4)
	s.Add(4, le.AppendUint16(le.AppendUint16(cpu, 0xfc), 0x6b), "FP6", "Advanced Micro Devices, Inc.", demoProcessor)
	array := le.AppendUint32([]byte{3, 3, 3}, 64<<10) // kilobytes
	array = le.AppendUint64(append(array, 0xfe, 0xff, 1, 0), 0)
	memory := s.Add(16, array)
	device := le.AppendUint16(le.AppendUint16(nil, memory), 0xfffe)
	for _, v := range []uint16{64, 64, 32} { // widths in bits, megabytes
		device = le.AppendUint16(device, v)
	}
	device = append(device, 0x0d, 0, 1, 2, 0x1a, 0x80, 0)
	device = append(le.AppendUint16(device, 3200), 3, 4, 0, 5, 1, 0, 0, 0, 0)
	for _, v := range []uint16{3200, 1200, 1200, 1200} { // speed, millivolts
		device = le.AppendUint16(device, v)
	}
	s.Add(17, device, "DIMM 0", "P0 CHANNEL A", "Tidewater", "0000A117", "TW-32M-3200")
	mapped := le.AppendUint32(le.AppendUint32(nil, 0), 32<<10-1)
	mapped = append(le.AppendUint16(mapped, memory), 1)
	s.Add(19, append(mapped, make([]byte, 16)...))
	return s.End(0)
}

// demoRegistry loads the office computer's hives.
func demoRegistry(m *Machine, shell, quill *Process) {
	system := m.AddHive(HiveOptions{Mount: `\REGISTRY\MACHINE\SYSTEM`, Name: "SYSTEM", Dirty: []uint32{1, 2, 9}})
	hardware := m.AddHive(HiveOptions{Mount: `\REGISTRY\MACHINE\HARDWARE`, Pool: true})
	software := m.AddHive(HiveOptions{Mount: `\REGISTRY\MACHINE\SOFTWARE`, File: `\SystemRoot\System32\Config\SOFTWARE`})
	user := m.AddHive(HiveOptions{Mount: demoUser, File: `\??\C:\Users\ines\NTUSER.DAT`})

	set := system.Key("ControlSet001")
	names := set.Sub("Control").Sub("ComputerName")
	names.Sub("ComputerName").SetString("", "mnmsrvc").SetString("ComputerName", m.opts.Computer)
	names.VolatileSub("ActiveComputerName").SetString("ComputerName", m.opts.Computer).Open(0)
	set.Sub("Control").Sub("Session Manager").SetStrings("BootExecute", "autocheck autochk *").SetDword("ProtectionMode", 1).
		Sub("Memory Management").SetStrings("PagingFiles", `?:\pagefile.sys`).SetDword("ClearPageFileAtShutdown", 0)
	set.Sub("Control").Sub("CrashControl").SetDword("CrashDumpEnabled", 1).Set("DumpFile", RegExpandString, utf16Bytes("%SystemRoot%\\MEMORY.DMP\x00"))
	for i, name := range []string{"keypad", "mssmbios", "Spooler", "stornvme", "Tcpip", "wcifs"} {
		image := `\SystemRoot\System32\drivers\` + name + `.sys`
		set.Sub("Services").Sub(name).SetDword("Type", 1).SetDword("Start", uint32(i%4)).SetDword("ErrorControl", 1).
			Set("ImagePath", RegExpandString, utf16Bytes(image+"\x00"))
	}
	set.Sub("Services").Sub("keypad").Sub("Parameters").SetDword("CrashOnCtrlScroll", 1)
	set.Sub("Services").Sub("mssmbios").VolatileSub("Data").Set("SMBiosData", RegBinary, m.firmware().SMBIOS.Bytes())
	system.Key("Select").SetDword("Current", 1).SetDword("Default", 1).SetDword("Failed", 0).SetDword("LastKnownGood", 1)
	system.Root().VolatileSub("CurrentControlSet").Link(`\REGISTRY\MACHINE\SYSTEM\ControlSet001`)

	description := hardware.Key(`DESCRIPTION\System`)
	for n := range m.opts.Processors {
		k := description.Sub("CentralProcessor").Sub(fmt.Sprint(n))
		for _, v := range demoProcessorValues(n) {
			k.Set(v.Name, v.Type, v.Data)
		}
	}
	description.Sub("BIOS").SetString("BIOSVendor", "Tidewater Firmware").SetString("BIOSVersion", "TW42 (2.9)").
		SetString("SystemManufacturer", "Tidewater").SetString("SystemProductName", "Jetty 7")

	version := software.Key(`Microsoft\Windows NT\CurrentVersion`)
	version.SetString("CurrentBuild", fmt.Sprint(m.build())).SetString("BuildLabEx", m.buildLab()).SetString("ProductName", "Windows 10 Pro").
		SetDword("CurrentMajorVersionNumber", 10).SetDword("CurrentMinorVersionNumber", 0).SetDword("UBR", 1).
		SetQword("InstallTime", Filetime(SystemTime.Add(-41*24*time.Hour)))
	software.Key(`Microsoft\Windows\CurrentVersion\Run`).SetString("Ferry", `C:\Users\ines\Ferry\Ferry.exe --timetable summer`)
	software.Key("Tidewater").Class("maker")
	software.Key("Tidewater").SetString("Support", "https://tidewater.example/jetty7")

	press := user.Key(`Software\QuillPress\Preview`)
	press.SetDword("CachePages", 64).SetString("Theme", "harbour").SetStrings("Recent", "Harbour News 16.qpn", "Harbour News 17.qpn").
		Set("Window", RegBinary, []byte{40, 0, 0, 0, 60, 0, 0, 0, 0, 5, 0, 0, 0xd0, 2, 0, 0})
	user.Key(`Software\QuillPress\Cover`).Set("Bitmap", RegBinary, bytes.Repeat([]byte("~paper~~"), 2500)) // kept in segments
	user.Key(`Control Panel\Desktop`).SetString("Wallpaper", `C:\Users\ines\Pictures\ferry.jpg`).SetDword("WheelScrollLines", 3)
	user.Key("Environment").Set("QUILL_CACHE_PAGES", RegExpandString, utf16Bytes("64\x00"))
	quill.AddKeyHandle(press, keyRead)
	shell.AddKeyHandle(user.Root(), keyRead)
	shell.AddKeyHandle(software.Key(`Microsoft\Windows\CurrentVersion`), keyRead)
	m.System().AddKeyHandle(set.Sub("Services"), keyRead)
}
