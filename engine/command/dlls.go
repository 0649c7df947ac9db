package command

import (
	"context"

	"kdap/engine/windows"
)

func cmdDlls() *Command {
	return &Command{
		Names: []string{"!dlls"}, Args: "[-f] [-s] [-a] [-v] [-l | -m | -i] [-c Address] [Entry]",
		Short: "show the loader's entries of the DLLs of the process",
		Run:   runDlls,
	}
}

const dllsUsage = `Usage: !dlls [-f] [-s] [-a] [-v] [-l | -m | -i] [-c Address] [Entry]
   -l      in load order (default)
   -m      in memory order
   -i      in initialization order
   -c      the DLL that contains the address
   -f      with file headers
   -s      with section headers
   -a      with both
   -v      with version information
`

// loaderFlags are the bits of an entry that the debugger names, in the words of
// its own listing. Others count as unknown.
var loaderFlags = []flagName{
	{0x4, "LDRP_IMAGE_DLL"},
	{0x8, "LDRP_LOAD_NOTIFICATIONS_SENT"},
	{0x20, "LDRP_PROCESS_STATIC_IMPORT"},
	{0x1000, "LDRP_LOAD_IN_PROGRESS"},
	{0x4000, "LDRP_ENTRY_PROCESSED"},
	{0x40000, "LDRP_DONT_CALL_FOR_THREADS"},
	{0x80000, "LDRP_PROCESS_ATTACH_CALLED"},
	{0x100000, "LDRP_PROCESS_ATTACH_FAILED"},
	{0x400000, "LDRP_COR_IMAGE"},
	{0x10000000, "LDRP_REDIRECTED"},
}

// A dllsCall is what !dlls was asked for.
type dllsCall struct {
	order     windows.LoaderOrder
	headers   map[byte]bool // of !dh
	version   bool
	inside    *uint64 // -c
	entry     uint64
	usageOnly bool
}

func (s *Session) dllsCall(c *Call) (d dllsCall, err error) {
	d.headers = map[byte]bool{}
	for !c.Args.Done() {
		option, ok := c.Option()
		if !ok {
			if d.entry, err = s.extensionNumber(c); err != nil {
				return d, err
			}
			continue
		}
		for _, letter := range option {
			switch letter {
			case 'f', 's':
				d.headers[byte(letter)] = true
			case 'a':
				d.headers['f'], d.headers['s'] = true, true
			case 'v':
				d.version = true
			case 'l':
				d.order = windows.LoadOrder
			case 'm':
				d.order = windows.MemoryOrder
			case 'i':
				d.order = windows.InitializationOrder
			case 'c':
				v, err := s.extensionNumber(c)
				if err != nil {
					return d, err
				}
				d.inside = &v
			default:
				d.usageOnly = true
			}
		}
	}
	return d, nil
}

func runDlls(ctx context.Context, s *Session, c *Call) error {
	d, err := s.dllsCall(c)
	if err != nil {
		return err
	}
	if d.usageOnly {
		s.printf("%s", dllsUsage)
		return nil
	}
	b, err := s.processBlock()
	if err != nil {
		return err
	}
	if d.entry != 0 {
		dll, err := b.process.LoadedDLLAt(d.entry, b.pointer)
		if err != nil {
			return s.failure(err, "Unable to read the loader's entry")
		}
		s.printf("\n")
		s.showDLL(ctx, dll, d)
		return nil
	}
	if d.inside != nil {
		s.printf("Dump dll containing 0x%x:\n", *d.inside)
	}
	found := false
	for dll, err := range b.process.LoadedDLLs(ctx, b.peb, b.pointer, d.order) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.incomplete(err)
			break
		}
		if d.inside != nil && !dll.Contains(*d.inside) {
			continue
		}
		found = true
		s.printf("\n")
		s.showDLL(ctx, dll, d)
	}
	if d.inside != nil && !found {
		return Failf("No dll contains 0x%x", *d.inside)
	}
	return nil
}

func (s *Session) showDLL(ctx context.Context, d windows.LoadedDLL, call dllsCall) {
	path := visible(d.Path)
	if path == "" {
		path = visible(d.Name)
	}
	if d.NameErr != nil {
		s.notef("%v", d.NameErr)
	}
	s.printf("0x%08x: %s\n", d.Entry, path)
	s.printf("      Base   0x%08x  EntryPoint  0x%08x  Size        0x%08x", d.Base, d.EntryPoint, d.Size)
	if d.Node != 0 {
		s.printf("    DdagNode     0x%08x", d.Node)
	}
	s.printf("\n      Flags  0x%08x  TlsIndex    0x%08x  LoadCount   0x%08x", d.Flags, d.TLSIndex, d.LoadCount)
	if d.Node != 0 {
		s.printf("    NodeRefCount 0x%08x", d.NodeReferences)
	}
	s.printf("\n")
	const indent = 13
	unnamed := d.Flags
	for _, f := range loaderFlags {
		unnamed &^= f.bit
	}
	if unnamed != 0 {
		s.printf("%*s<unknown>\n", indent, "")
	}
	s.printFlags(d.Flags, indent, loaderFlags)
	if call.version {
		if m := s.moduleSet(ctx).Find(d.Base); m != nil {
			if v := s.moduleVersion(ctx, m); v != nil {
				s.printVersion(v, func(label, value string) { s.printf("      %-20s %s\n", label, visible(value)) })
			}
		}
	}
	if len(call.headers) > 0 {
		s.dumpHeaders(ctx, d.Base, call.headers)
	}
}
