package machine_test

import (
	"fmt"
	"testing"

	"kdap/engine"
	"kdap/engine/dumptest"
	"kdap/engine/windows/machine"
)

func open(t *testing.T, m *dumptest.Machine) *engine.Target {
	t.Helper()
	path, symbols := dumptest.WriteFile(t, m.Finish())
	target, err := engine.Open(t.Context(), path, engine.Options{SymbolPath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return target
}

func table() *dumptest.SMBIOS {
	s := &dumptest.SMBIOS{Major: 2, Minor: 8}
	s.Add(1, append([]byte{1, 2, 0, 0}, make([]byte, 16)...), "Tidewater", "Jetty 9")
	return s.End(0)
}

// TestControlSet: names and firmware come from the control set that is in use.
func TestControlSet(t *testing.T) {
	m := dumptest.SmallWith(dumptest.Options{Computer: "ENVIRON", Firmware: &dumptest.Firmware{Absent: true}})
	system := m.AddHive(dumptest.HiveOptions{Mount: `\REGISTRY\MACHINE\SYSTEM`, Name: "SYSTEM"})
	for n, name := range []string{"", "OLDNAME", "", "HARBOUR9"} {
		if name != "" {
			system.Key(fmt.Sprintf(`ControlSet%03d\Control\ComputerName\ComputerName`, n)).SetString("ComputerName", name)
		}
	}
	system.Key("Select").SetDword("Current", 3)
	system.Key(`ControlSet003\Services\mssmbios`).VolatileSub("Data").Set("SMBiosData", dumptest.RegBinary, table().Bytes())
	sys := open(t, m).System
	if name, err := machine.Name(t.Context(), sys); err != nil || name != "HARBOUR9" {
		t.Errorf("name %q, %v", name, err)
	}
	got, err := machine.SMBIOS(t.Context(), sys)
	if err != nil {
		t.Fatal(err)
	}
	if v := got.Machine(); got.Major != 2 || got.Minor != 8 || len(v) != 2 || v[1].Text != "Jetty 9" {
		t.Errorf("%+v %v", got, v)
	}
}

// TestNoRegistry: what only environments and the processor's block tell.
func TestNoRegistry(t *testing.T) {
	m := dumptest.SmallWith(dumptest.Options{Computer: "ENVIRON", Firmware: &dumptest.Firmware{Absent: true}})
	sys := open(t, m).System
	if name, err := machine.Name(t.Context(), sys); err != nil || name != "ENVIRON" {
		t.Errorf("name %q, %v", name, err)
	}
	if _, err := machine.SMBIOS(t.Context(), sys); err == nil {
		t.Error("a table out of nothing")
	}
	values, err := machine.Processor(t.Context(), sys)
	if err != nil || len(values) != 3 || values[1].Text() != "AMD64 Family 25 Model 80 Stepping 0" {
		t.Errorf("%v, %v", values, err)
	}
}

// TestHardwareKey: the key's values, its firmware names, and a value whose data
// is gone beside those that are there.
func TestHardwareKey(t *testing.T) {
	m := dumptest.SmallWith(dumptest.Options{Firmware: &dumptest.Firmware{Absent: true}})
	h := m.AddHive(dumptest.HiveOptions{Mount: `\REGISTRY\MACHINE\HARDWARE`, Pool: true})
	cpu := h.Key(`DESCRIPTION\System\CentralProcessor\0`).SetString("Identifier", "Harbour Family 3").SetString("VendorIdentifier", "Tidewater").SetDword("~MHz", 912)
	h.Key(`DESCRIPTION\System\BIOS`).SetString("BIOSVendor", "Jetty Soft").SetDword("BiosMajorRelease", 4).SetDword("ECFirmwareMajorRelease", 255)
	d := m.Finish()
	_, data := cpu.Value("Identifier")
	m.Kernel.U32(h.CellAddr(data)-4, 0x20) // free
	path, symbols := dumptest.WriteFile(t, d)
	target, err := engine.Open(t.Context(), path, engine.Options{SymbolPath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	values, err := machine.Processor(t.Context(), target.System)
	if len(values) != 3 || values[1].Text() != "Tidewater" || err == nil {
		t.Errorf("%v, %v", values, err)
	}
	names, err := machine.BIOS(t.Context(), target.System)
	if fmt.Sprint(names) != "[{BiosMajorRelease 4} {BiosVendor Jetty Soft}]" || err != nil {
		t.Errorf("%v, %v", names, err)
	}
}

// TestEntryPoint: nothing but the firmware's own entry point leads to the table.
func TestEntryPoint(t *testing.T) {
	m := dumptest.SmallWith(dumptest.Options{
		Runs:     []dumptest.Run{{Base: 1, Count: 0x1200}},
		Firmware: &dumptest.Firmware{SMBIOS: table(), Absent: true, Physical: true, Entry: true},
	})
	got, err := machine.SMBIOS(t.Context(), open(t, m).System)
	if err != nil {
		t.Fatal(err)
	}
	if v := got.Machine(); got.Major != 2 || got.Minor != 8 || len(v) != 2 || v[0].Text != "Tidewater" {
		t.Errorf("%+v %v", got, v)
	}
}
