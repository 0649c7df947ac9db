package command

import (
	"context"
	"errors"
	"strings"

	"kdap/engine/format"
	"kdap/engine/types"
	"kdap/engine/windows"
)

func ioCommands() []*Command {
	return []*Command{
		cmdDrvobj(), cmdDevobj(), cmdDevstack(), cmdDevnode(), cmdDrivers(),
		cmdIrp(), cmdIrpfind(), cmdFileobj(), cmdVpb(),
	}
}

// Flags of !drvobj.
const (
	driverDevices  = 0x1
	driverDispatch = 0x2
	driverStacks   = 0x4
)

func cmdDrvobj() *Command {
	return &Command{
		Names: []string{"!drvobj"}, Args: "Name|Address [Flags]",
		Short: "show a driver object: its devices, routines and device stacks",
		Run:   runDrvobj,
	}
}

func runDrvobj(ctx context.Context, s *Session, c *Call) error {
	word := c.Word()
	if word == "" {
		return Failf("!drvobj: a driver's name or address is missing")
	}
	flags, err := s.extensionNumberOr(c, driverDevices)
	if err != nil {
		return err
	}
	d, err := s.driverArgument(ctx, word)
	if err != nil {
		return err
	}
	return s.showDriver(ctx, d, flags)
}

// driverArgument finds a driver by name and, where none has it, by address.
func (s *Session) driverArgument(ctx context.Context, word string) (windows.Driver, error) {
	d, err := s.sys.DriverNamed(ctx, word)
	if err == nil {
		return d, nil
	}
	if !errors.Is(err, windows.ErrNoObject) {
		s.notef("%v", err)
	}
	if strings.HasPrefix(word, `\`) {
		return d, Failf("Driver object %s not found", word)
	}
	addr, err := s.evaluate(word)
	if d = s.sys.Driver(addr); err == nil && d.IsDriver() {
		return d, nil
	}
	if err != nil || s.moduleNamed(ctx, word) != nil {
		return d, Failf(`Driver object \Driver\%s not found`, word)
	}
	return d, Failf("%016x is not a driver object", addr)
}

func (s *Session) showDriver(ctx context.Context, d windows.Driver, flags uint64) error {
	s.printf("Driver object (%016x) is for:\n %s\n", d.Addr(), textOr(d.Name))
	if flags&driverDevices != 0 {
		s.printf("\nDriver Extension List: (id , addr)\n")
		for id, addr := range d.Extensions() {
			s.printf("(%016x %016x)  ", id, addr)
		}
		s.printf("\nDevice Object list:\n")
		n := 0
		for dev, err := range d.Devices(ctx) {
			if err != nil {
				s.notef("driver %x: %v", d.Addr(), err)
				break
			}
			if n > 0 && n%4 == 0 {
				s.printf("\n")
			}
			n++
			s.printf("%016x  ", dev.Addr())
		}
		s.printf("\n")
	}
	if flags&driverDispatch != 0 {
		s.showDispatch(ctx, d)
	}
	if flags&driverStacks == 0 {
		return ctx.Err()
	}
	s.printf("\nDevice Object stacks:\n")
	for dev, err := range d.Devices(ctx) {
		if err != nil {
			break // told above
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.printf("\n!devstack %016x :\n", dev.Addr())
		s.showDeviceStack(dev)
	}
	return ctx.Err()
}

func (s *Session) showDispatch(ctx context.Context, d windows.Driver) {
	routine := func(label, member string) {
		at, err := d.Object().Field(member).Uint()
		s.printf("%-14s %s\n", label, s.routineText(ctx, at, err))
	}
	s.printf("\n")
	routine("DriverEntry:", "DriverInit")
	routine("DriverStartIo:", "DriverStartIo")
	routine("DriverUnload:", "DriverUnload")
	at, err := d.Object().Field("DriverExtension").Deref().Field("AddDevice").Uint()
	if errors.Is(err, types.ErrNull) {
		at, err = 0, nil
	}
	s.printf("%-14s %s\n", "AddDevice:", s.routineText(ctx, at, err))
	s.printf("\nDispatch routines:\n")
	routines, err := d.Dispatch()
	for i, at := range routines {
		s.printf("[%02x] %-35s%s\n", i, windows.MajorFunctionName(uint64(i)), s.routineText(ctx, at, nil))
	}
	if err != nil {
		s.notef("driver %x: %v", d.Addr(), err)
	}
}

// routineText is an address, a tab and its symbol.
func (s *Session) routineText(ctx context.Context, at uint64, err error) string {
	switch {
	case err != nil:
		return notAccessible
	case at == 0:
		return "00000000\t"
	}
	return format.Hex16(at) + "\t" + s.symbolText(ctx, at)
}

// textOr reads a text from the dump for display.
func textOr(value func() (string, error)) string {
	v, err := value()
	if err != nil {
		return notAccessible
	}
	return visible(v)
}

func cmdDrivers() *Command {
	return &Command{
		Names: []string{"!drivers"}, Short: "obsolete: lm t n lists the drivers",
		Run: func(_ context.Context, _ *Session, _ *Call) error {
			return Failf("!drivers is no longer supported. Use lm t n to list the loaded modules.")
		},
	}
}
