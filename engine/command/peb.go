package command

import (
	"context"
	"errors"
	"iter"

	"kdap/engine/types"
	"kdap/engine/windows"
)

func cmdPeb() *Command {
	return &Command{
		Names: []string{"!peb"}, Args: "[Address]",
		Short: "show the process environment block: modules, command line, environment",
		Run:   runPeb,
	}
}

func runPeb(ctx context.Context, s *Session, c *Call) error {
	p, err := s.debuggee.process(s)
	if err != nil {
		return err
	}
	addr, err := s.debuggee.peb(s)
	title, given := "", !c.Args.Done()
	if !given {
		narrow, err := s.showPeb32(ctx, p)
		if err != nil {
			return err
		}
		if narrow {
			title = "\n\nWow64 "
		}
	} else {
		addr, err = s.extensionNumber(c)
	}
	switch {
	case err != nil && !given:
		s.notef("PEB: %v", err)
		return Failf("PEB NULL...")
	case err != nil:
		return err
	case addr == 0:
		return Failf("PEB NULL...")
	}
	block, err := p.EnvironmentAt(addr)
	if err != nil {
		return Failf("error 1 InitTypeRead( nt!_PEB at %016x)...", addr)
	}
	if _, err := block.Object().Field("InheritedAddressSpace").Uint(); err != nil {
		s.notef("PEB: %v", err)
		return Failf("error 3 InitTypeRead( nt!_PEB at %016x)...", addr)
	}
	s.printf("%sPEB at %016x\n", title, addr)
	return s.showPeb(ctx, p, block)
}

func (s *Session) showPeb(ctx context.Context, p windows.Process, block windows.PEB) error {
	o := block.Object()
	s.printf("    InheritedAddressSpace:    %s\n", yesNo(o.Field("InheritedAddressSpace")))
	s.printf("    ReadImageFileExecOptions: %s\n", yesNo(o.Field("ReadImageFileExecOptions")))
	s.printf("    BeingDebugged:            %s\n", yesNo(o.Field("BeingDebugged")))
	s.printf("    ImageBaseAddress:         %s\n", objectText("%016x", o.Field("ImageBaseAddress")))
	s.printf("    NtGlobalFlag:             %s\n", objectText("%x", o.Field("NtGlobalFlag")))
	if o.Has("NtGlobalFlag2") {
		s.printf("    NtGlobalFlag2:            %s\n", objectText("%x", o.Field("NtGlobalFlag2")))
	}
	s.printf("    Ldr                       %s\n", objectText("%016x", o.Field("Ldr")))
	s.showLdr(ctx, p, o.Addr(), o.Field("Ldr").Deref())
	s.printf("    SubSystemData:     %s\n", objectText("%016x", o.Field("SubSystemData")))
	s.printf("    ProcessHeap:       %s\n", objectText("%016x", o.Field("ProcessHeap")))
	s.printf("    ProcessParameters: %s\n", objectText("%016x", o.Field("ProcessParameters")))
	params := block.Parameters()
	if params.Err() != nil {
		s.notef("ProcessParameters: %v", params.Err())
	}
	for _, row := range []struct{ label, field string }{
		{"CurrentDirectory:  ", "CurrentDirectory.DosPath"},
		{"WindowTitle:  ", "WindowTitle"},
		{"ImageFile:    ", "ImagePathName"},
		{"CommandLine:  ", "CommandLine"},
		{"DllPath:      ", "DllPath"},
	} {
		s.printf("    %s'%s'\n", row.label, stringText(params.Field(row.field)))
	}
	s.printf("    Environment:  %s\n", objectText("%016x", params.Field("Environment")))
	return s.showEnvironment(ctx, block.EnvironmentStrings())
}

func (s *Session) showEnvironment(ctx context.Context, variables iter.Seq2[string, error]) error {
	for v, err := range variables {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.notef("%v", err)
			break
		}
		s.printf("        %s\n", visible(v))
	}
	return nil
}

// showLdr prints the loader's lists and the modules in load order.
func (s *Session) showLdr(ctx context.Context, p windows.Process, peb uint64, ldr types.Object) {
	if ldr.Err() != nil {
		if !errors.Is(ldr.Err(), types.ErrNull) {
			s.notef("Ldr: %v", ldr.Err())
		}
		return
	}
	initialized, err := ldr.Field("Initialized").Uint()
	if err != nil {
		s.notef("Ldr: %v", err)
		s.printf("    *** unable to read Ldr at %016x\n", ldr.Addr())
		return
	}
	s.printf("    Ldr.Initialized:          %s\n", yesNoText(initialized != 0))
	for _, list := range []string{"InInitializationOrderModuleList", "InLoadOrderModuleList", "InMemoryOrderModuleList"} {
		head := ldr.Field(list)
		s.printf("    %-36s %s . %s\n", "Ldr."+list+":",
			objectText("%016x", head.Field("Flink")), objectText("%016x", head.Field("Blink")))
	}
	s.printf("                    Base TimeStamp                     Module\n")
	mods, errs := p.LoaderModulesAt(ctx, peb)
	for _, m := range mods {
		s.printLdrModule(m)
	}
	for _, err := range errs {
		s.notef("%v", err)
	}
}

func yesNo(o types.Object) string {
	v, err := o.Uint()
	if err != nil {
		return notAccessible
	}
	return yesNoText(v != 0)
}

func yesNoText(v bool) string { return either(v, "Yes", "No") }

func objectText(layout string, o types.Object) string { return hexText(layout, o.Uint) }

// stringText reads a UNICODE_STRING the way !peb shows it.
func stringText(o types.Object) string {
	length, err := o.Field("Length").Uint()
	buffer, berr := o.Field("Buffer").Uint()
	text, terr := o.UnicodeString()
	if errors.Join(err, berr, terr) != nil || length == 0 && buffer == 0 {
		return "< Name not readable >"
	}
	return visible(text)
}

func cmdTeb() *Command {
	return &Command{
		Names: []string{"!teb"}, Args: "[Address]",
		Short: "show the thread environment block",
		Run:   runTeb,
	}
}

func runTeb(_ context.Context, s *Session, c *Call) error {
	var addr uint64
	var err error
	title := ""
	if c.Args.Done() {
		if s.scope.thread.Addr() == 0 {
			return Failf("TEB NULL...")
		}
		if s.showTeb32(s.scope.thread) {
			title = "Wow64 "
		}
		addr, err = s.debuggee.teb(s)
	} else {
		addr, err = s.extensionNumber(c)
	}
	switch {
	case err != nil:
		return err
	case addr == 0:
		return Failf("TEB NULL...")
	}
	t, err := s.sys.Type("_TEB")
	if err != nil {
		return Failf("error InitTypeRead( TEB )...\n%v", err)
	}
	teb := types.NewObject(s.space(), t, addr)
	if _, err := teb.Field("NtTib.Self").Uint(); err != nil {
		s.notef("TEB: %v", err)
		return Failf("error InitTypeRead( TEB )...")
	}
	s.printf("%sTEB at %016x\n", title, addr)
	for _, row := range []struct{ label, layout, field string }{
		{"ExceptionList:", "%016x", "NtTib.ExceptionList"},
		{"StackBase:", "%016x", "NtTib.StackBase"},
		{"StackLimit:", "%016x", "NtTib.StackLimit"},
		{"SubSystemTib:", "%016x", "NtTib.SubSystemTib"},
		{"FiberData:", "%016x", "NtTib.FiberData"},
		{"ArbitraryUserPointer:", "%016x", "NtTib.ArbitraryUserPointer"},
		{"Self:", "%016x", "NtTib.Self"},
		{"EnvironmentPointer:", "%016x", "EnvironmentPointer"},
		{"ClientId:", "", "ClientId"},
		{"RpcHandle:", "%016x", "ActiveRpcHandle"},
		{"Tls Storage:", "%016x", "ThreadLocalStoragePointer"},
		{"PEB Address:", "%016x", "ProcessEnvironmentBlock"},
		{"LastErrorValue:", "%d", "LastErrorValue"},
		{"LastStatusValue:", "%x", "LastStatusValue"},
		{"Count Owned Locks:", "%d", "CountOfOwnedCriticalSections"},
		{"HardErrorMode:", "%d", "HardErrorMode"},
	} {
		field := teb.Field(row.field)
		text := objectText(row.layout, field)
		if row.field == "ClientId" {
			text = objectText("%016x", field.Field("UniqueProcess")) + " . " + objectText("%016x", field.Field("UniqueThread"))
		}
		s.printf("    %-22s%s\n", row.label, text)
	}
	return nil
}
