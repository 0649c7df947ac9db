// Package machine tells what a dump knows of the computer it was made on: its
// name, its processor, the tables of its firmware.
//
// The same facts stand in several places. Drivers copy them into the dump's
// secondary data when it is made, so that comes first; then physical memory,
// where the firmware left its tables, and the registry: the hardware key, and
// what the driver mssmbios keeps below its own key. Package windows reads the
// dump's own places, package registry the hives; this package asks them in
// turn. Its functions read the dump at each call and hold nothing.
package machine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kdap/engine/smbios"
	"kdap/engine/windows"
	"kdap/engine/windows/registry"
)

// Keys and values of the registry that describe the machine.
const (
	processors = `\REGISTRY\MACHINE\HARDWARE\DESCRIPTION\System\CentralProcessor`
	biosKey    = `\REGISTRY\MACHINE\HARDWARE\DESCRIPTION\System\BIOS`
	names      = `Control\ComputerName\`
	firmware   = `Services\mssmbios\Data`
)

// Name returns the machine's name: the one in use, the one after the next
// start, else that of the processes' environments. It is "" when none is there.
func Name(ctx context.Context, sys *windows.System) (string, error) {
	r, err := registry.Open(ctx, sys)
	if err == nil {
		for _, key := range []string{"ActiveComputerName", "ComputerName"} {
			v, verr := controlValue(ctx, r, names+key, "ComputerName")
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			if verr == nil && v.Text() != "" {
				return v.Text(), nil
			}
		}
	}
	return sys.ComputerName(ctx)
}

// ControlSet returns the path of the control set in use.
func ControlSet(ctx context.Context, r *registry.Registry) string {
	const system = `\REGISTRY\MACHINE\SYSTEM`
	set := uint64(1)
	if v, err := value(ctx, r, system+`\Select`, "Current"); err == nil {
		if n, ok := v.Number(); ok && n < 1000 {
			set = n
		}
	}
	return fmt.Sprintf(`%s\ControlSet%03d`, system, set)
}

// controlValue reads a value below the control set in use.
func controlValue(ctx context.Context, r *registry.Registry, key, name string) (windows.HardwareValue, error) {
	return value(ctx, r, ControlSet(ctx, r)+`\`+key, name)
}

func value(ctx context.Context, r *registry.Registry, key, name string) (windows.HardwareValue, error) {
	k, err := r.Lookup(ctx, key)
	if err != nil {
		return windows.HardwareValue{}, err
	}
	v, err := k.Value(ctx, name)
	if v == nil {
		return windows.HardwareValue{}, errors.Join(fmt.Errorf("%s has no value %s", key, name), err)
	}
	data, err := v.Data()
	return windows.HardwareValue{Name: v.Name, Type: uint32(v.Type), Data: data}, err
}

// values reads all values of a key, those before the first that is damaged with
// an error.
func values(ctx context.Context, sys *windows.System, key string) ([]windows.HardwareValue, error) {
	r, err := registry.Open(ctx, sys)
	if err != nil {
		return nil, err
	}
	k, err := r.Lookup(ctx, key)
	if err != nil {
		return nil, err
	}
	var all []windows.HardwareValue
	var errs []error
	for v, err := range k.Values(ctx) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		data, err := v.Data()
		if err != nil {
			errs = append(errs, err)
		}
		all = append(all, windows.HardwareValue{Name: v.Name, Type: uint32(v.Type), Data: data})
	}
	return all, errors.Join(errs...)
}

// ProcessorKey returns the values of the registry's key of processor n.
func ProcessorKey(ctx context.Context, sys *windows.System, n int) ([]windows.HardwareValue, error) {
	return values(ctx, sys, fmt.Sprintf(`%s\%d`, processors, n))
}

// Processor returns what the registry's key of the first processor says: the
// dump's own copy, else the key, else what the processor's block has of it. A
// copy that is cut gives the values before the cut and an error.
func Processor(ctx context.Context, sys *windows.System) ([]windows.HardwareValue, error) {
	if all, ok, err := sys.SavedProcessorValues(); ok {
		return all, err
	}
	all, err := ProcessorKey(ctx, sys, 0)
	if len(all) > 0 || ctx.Err() != nil {
		return all, err
	}
	all, berr := sys.ProcessorBlockValues()
	if len(all) > 0 {
		return all, nil
	}
	return nil, errors.Join(berr, err)
}

// BIOS returns what the registry's key of the firmware says of the machine, as
// Machine of an SMBIOS table would.
func BIOS(ctx context.Context, sys *windows.System) ([]smbios.Value, error) {
	found, err := values(ctx, sys, biosKey)
	var all []smbios.Value
	for _, name := range smbios.MachineNames() {
		for _, v := range found {
			if !strings.EqualFold(v.Name, name) && !strings.EqualFold(v.Name, "EC"+name) {
				continue
			}
			text := v.Text()
			if n, ok := v.Number(); ok {
				text = fmt.Sprint(n)
				if n == noRelease {
					text = ""
				}
			}
			if text != "" {
				all = append(all, smbios.Value{Name: name, Text: text})
			}
		}
	}
	return all, err
}

// noRelease is the release number of firmware that has none.
const noRelease = 0xff

// FirmwareData returns what the driver mssmbios keeps below its key: SMBiosData,
// BiosData, AcpiData or RegistersData.
func FirmwareData(ctx context.Context, sys *windows.System, name string) ([]byte, error) {
	r, err := registry.Open(ctx, sys)
	if err != nil {
		return nil, err
	}
	v, err := controlValue(ctx, r, firmware, name)
	if len(v.Data) > 0 {
		err = nil // the readers of tables tell where they break off
	}
	return v.Data, err
}

// SMBIOS returns the firmware's description of the machine.
func SMBIOS(ctx context.Context, sys *windows.System) (*smbios.Table, error) {
	t, err := sys.SMBIOS()
	if err == nil {
		return t, nil
	}
	b, rerr := FirmwareData(ctx, sys, "SMBiosData")
	if rerr != nil {
		return nil, errors.Join(err, rerr)
	}
	if t, rerr = smbios.Parse(b); rerr != nil {
		return nil, fmt.Errorf("the registry's SMBiosData: %w", rerr)
	}
	return t, nil
}

// ACPITables returns the heads of the firmware's ACPI tables.
func ACPITables(ctx context.Context, sys *windows.System) ([]windows.ACPITable, error) {
	if all := sys.ACPITables(); len(all) > 0 {
		return all, nil
	}
	b, err := FirmwareData(ctx, sys, "AcpiData")
	if err != nil {
		return nil, err
	}
	return windows.ParseACPITables(b), nil
}
