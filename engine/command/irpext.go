package command

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/windows"
)

func cmdIrp() *Command {
	return &Command{
		Names: []string{"!irp"}, Args: "Address [Detail]",
		Short: "show an I/O request packet with its stack locations",
		Run:   runIrp,
	}
}

func runIrp(ctx context.Context, s *Session, c *Call) error {
	if c.Args.Done() {
		return Failf("!irp: the address of an IRP is missing")
	}
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	detail := !c.Args.Done()
	c.rest()
	r := s.sys.Request(addr)
	if _, err := r.StackCount(); err != nil {
		s.notef("%v", err)
		return Failf("%016x: Could not read Irp", addr)
	}
	if !r.IsRequest() {
		return Failf("IRP signature does not match, probably not an IRP")
	}
	return s.showRequest(ctx, r, detail)
}

func (s *Session) showRequest(ctx context.Context, r windows.Request, detail bool) error {
	o := r.Object()
	failed := 0
	get := func(path string) uint64 {
		v, err := o.Field(path).Uint()
		if err != nil {
			failed++
			s.notef("IRP %x: %v", r.Addr(), err)
		}
		return v
	}
	count, _ := r.StackCount()
	current, err := r.CurrentLocation()
	if err != nil {
		return Failf("%016x: Could not read Irp", r.Addr())
	}
	at := get("Tail.Overlay.CurrentStackLocation")
	s.printf("Irp is active with %d stacks %d is current (= 0x%016x)\n", count, current, at)
	text := " No Mdl:"
	if mdl := get("MdlAddress"); mdl != 0 {
		text = fmt.Sprintf(" Mdl=%016x:", mdl)
	}
	if buffer := get("AssociatedIrp.SystemBuffer"); buffer != 0 {
		text += fmt.Sprintf(" System buffer=%016x:", buffer)
	} else {
		text += " No System Buffer:"
	}
	text += fmt.Sprintf(" Thread %s:  ", pointer(get("Tail.Overlay.Thread")))
	if current > count {
		text += "Irp is completed.  "
	} else {
		text += "Irp stack trace.  "
	}
	if get("PendingReturned") != 0 {
		text += "Pending has been returned"
	}
	s.printf("%s\n", text)
	if detail {
		s.showRequestDetail(r, get)
	}
	s.printf("     cmd  flg cl Device   File     Completion-Context\n")
	for n := int64(1); n <= count; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		l, err := r.Location(n)
		if err != nil {
			s.notef("IRP %x: %v", r.Addr(), err)
			return nil
		}
		s.showLocation(ctx, l, n == current)
	}
	return nil
}

// showRequestDetail prints the members of the IRP itself.
func (s *Session) showRequestDetail(r windows.Request, get func(string) uint64) {
	s.printf("Flags = %08x\n", get("Flags"))
	s.printf("ThreadListEntry.Flink = %s\n", pointer(get("ThreadListEntry.Flink")))
	s.printf("ThreadListEntry.Blink = %s\n", pointer(get("ThreadListEntry.Blink")))
	s.printf("IoStatus.Status = %08x\n", get("IoStatus.Status"))
	s.printf("IoStatus.Information = %08x\n", get("IoStatus.Information"))
	s.printf("RequestorMode = %08x\n", get("RequestorMode"))
	s.printf("Cancel = %02x\n", get("Cancel"))
	s.printf("CancelIrql = %x\n", get("CancelIrql"))
	s.printf("ApcEnvironment = %02x\n", get("ApcEnvironment"))
	s.printf("UserIosb = %s\n", pointer(get("UserIosb")))
	s.printf("UserEvent = %s\n", pointer(get("UserEvent")))
	s.printf("Overlay.AsynchronousParameters.UserApcRoutine = %s\n", pointer(get("Overlay.AsynchronousParameters.UserApcRoutine")))
	s.printf("Overlay.AsynchronousParameters.UserApcContext = %s\n", pointer(get("Overlay.AsynchronousParameters.UserApcContext")))
	size := get("Overlay.AllocationSize.QuadPart")
	s.printf("Overlay.AllocationSize = %08x - %08x\n", size>>32, size&0xffffffff)
	s.printf("CancelRoutine = %s\n", pointer(get("CancelRoutine")))
	s.printf("UserBuffer = %s\n", pointer(get("UserBuffer")))
	s.printf("&Tail.Overlay.DeviceQueueEntry = %s\n", pointer(r.Object().Field("Tail.Overlay.DeviceQueueEntry").Addr()))
	s.printf("Tail.Overlay.Thread = %s\n", pointer(get("Tail.Overlay.Thread")))
	s.printf("Tail.Overlay.AuxiliaryBuffer = %s\n", pointer(get("Tail.Overlay.AuxiliaryBuffer")))
	s.printf("Tail.Overlay.ListEntry.Flink = %s\n", pointer(get("Tail.Overlay.ListEntry.Flink")))
	s.printf("Tail.Overlay.ListEntry.Blink = %s\n", pointer(get("Tail.Overlay.ListEntry.Blink")))
	s.printf("Tail.Overlay.CurrentStackLocation = %s\n", pointer(get("Tail.Overlay.CurrentStackLocation")))
	s.printf("Tail.Overlay.OriginalFileObject = %s\n", pointer(get("Tail.Overlay.OriginalFileObject")))
	s.printf("Tail.Apc = %s\n", pointer(get("Tail.Overlay.DeviceQueueEntry.DeviceListEntry.Flink")))
	s.printf("Tail.CompletionKey = %s\n", pointer(get("Tail.CompletionKey")))
}

// functionText is a function code's name and number, "N/A(0)" without a name.
func functionText(name string, code uint64) string {
	if name == "" {
		name = "N/A"
	}
	return fmt.Sprintf("%s(%x)", name, code)
}

func (s *Session) showLocation(ctx context.Context, l windows.StackLocation, current bool) {
	mark := " "
	if current {
		mark = ">"
	}
	major, minor := "", ""
	if !l.Unused() {
		major, minor = windows.MajorFunctionName(l.Major), windows.MinorFunctionName(l.Major, l.Minor)
	}
	s.printf("%s[%s, %s]\n", mark, functionText(major, l.Major), functionText(minor, l.Minor))
	invoke := make([]string, 4)
	for i, b := range []struct {
		bit  uint64
		name string
	}{
		{windows.InvokeOnSuccess, "Success"},
		{windows.InvokeOnError, "Error"},
		{windows.InvokeOnCancel, "Cancel"},
		{windows.LocationPending, "pending"},
	} {
		if l.Control&b.bit != 0 {
			invoke[i] = b.name
		}
	}
	s.printf("%13x %2x %s %s %s-%s %s\n", l.Flags, l.Control, pointer(l.Device), pointer(l.File),
		pointer(l.Completion), pointer(l.Context), strings.Join(invoke, " "))
	var owner string
	if l.Device != 0 {
		owner = "\t       " + textOr(s.sys.Device(l.Device).DriverName)
	}
	if l.Completion != 0 {
		owner += "\t" + s.symbolText(ctx, l.Completion)
	}
	s.printf("%s\n\t\t\tArgs: %08x %08x %08x %08x\n", owner, l.Args[0], l.Args[1], l.Args[2], l.Args[3])
}

func cmdIrpfind() *Command {
	return &Command{
		Names: []string{"!irpfind"}, Args: "[-v] [PoolType [RestartAddr [Criteria Data]]]",
		Short: "list the I/O request packets that are under way",
		Run:   runIrpfind,
	}
}

// irpCriteria are the words that narrow !irpfind.
type irpCriteria struct {
	word string
	data uint64
}

func runIrpfind(ctx context.Context, s *Session, c *Call) error {
	verbose := false
	if letters, ok := c.Option(); ok {
		verbose = letters == "v"
	}
	var criteria irpCriteria
	for i := 0; !c.Args.Done(); i++ {
		if i < 2 {
			// Pool type and address to restart at: the search is not by pool.
			if _, err := s.extensionNumber(c); err != nil {
				return err
			}
			continue
		}
		criteria.word = strings.ToLower(c.Word())
		switch criteria.word {
		case "userevent", "device", "fileobject", "mdlprocess", "thread", "arg":
		default:
			return Failf("Unknown search criteria %s", criteria.word)
		}
		var err error
		if criteria.data, err = s.extensionNumber(c); err != nil {
			return err
		}
		break
	}
	s.printf("  Irp    [ Thread ]         irpStack: (Mj,Mn)   DevObj  [Driver]         MDL Process\n")
	for r, err := range s.sys.Requests(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.notef("%v", err)
			continue
		}
		if !criteria.match(r) {
			continue
		}
		s.showRequestRow(r)
		if verbose {
			if err := s.showRequest(ctx, r, false); err != nil {
				return err
			}
		}
	}
	s.notef("the requests of threads and devices are listed; those that only drivers know are not searched for")
	return nil
}

func (c irpCriteria) match(r windows.Request) bool {
	is := func(path string) bool {
		v, err := r.Object().Field(path).Uint()
		return err == nil && v == c.data
	}
	locations := func(test func(windows.StackLocation) bool) bool {
		n, err := r.StackCount()
		for i := int64(1); err == nil && i <= n; i++ {
			if l, err := r.Location(i); err == nil && test(l) {
				return true
			}
		}
		return false
	}
	switch c.word {
	case "userevent":
		return is("UserEvent")
	case "thread":
		return is("Tail.Overlay.Thread")
	case "fileobject":
		return is("Tail.Overlay.OriginalFileObject") || locations(func(l windows.StackLocation) bool { return l.File == c.data })
	case "device":
		return locations(func(l windows.StackLocation) bool { return l.Device == c.data })
	case "arg":
		return locations(func(l windows.StackLocation) bool {
			return l.Args[0] == c.data || l.Args[1] == c.data || l.Args[2] == c.data || l.Args[3] == c.data
		})
	case "mdlprocess":
		v, err := r.Object().Field("MdlAddress").Deref().Field("Process").Uint()
		return err == nil && v == c.data
	}
	return true
}

func (s *Session) showRequestRow(r windows.Request) {
	thread, _ := r.Thread()
	s.printf("%016x [%016x] ", r.Addr(), thread)
	l, ok, err := r.Current()
	switch {
	case err != nil:
		s.notef("IRP %x: %v", r.Addr(), err)
		s.printf("%s", notAccessible)
	case !ok:
		s.printf("Irp is complete (CurrentLocation > StackCount)")
	default:
		s.printf("irpStack: (%2x,%2x)  %016x [ %s]", l.Major, l.Minor, l.Device, textOr(s.sys.Device(l.Device).DriverName))
	}
	if mdl, err := r.MDL(); err == nil && mdl != 0 {
		process, _ := r.Object().Field("MdlAddress").Deref().Field("Process").Uint()
		s.printf(" 0x%016x", process)
	}
	s.printf("\n")
}
