package command

import (
	"context"
	"errors"
	"strings"

	"kdap/engine/windows"
)

func objectCommands() []*Command {
	return []*Command{cmdObject(), cmdHandle()}
}

// Flags of !object.
const (
	objectCounts   = 0x1  // name and counts
	objectContents = 0x8  // of directories, targets of links
	objectHeaders  = 0x10 // optional headers
	objectPath     = 0x20 // the whole path

	objectDefault = objectCounts | objectContents
)

func cmdObject() *Command {
	return &Command{
		Names: []string{"!object"}, Args: "Address [Flags] | Path | 0 TypeName",
		Short: "show an object of the object manager, by address or path; list a directory",
		Run:   runObject,
	}
}

func runObject(ctx context.Context, s *Session, c *Call) error {
	word := c.Word()
	switch {
	case word == "":
		word = `\`
	case word == "-p":
		return Failf("Private namespaces are in no public structure; !object -p is not available.")
	}
	if strings.HasPrefix(word, `\`) {
		// Names may hold blanks: the path is the rest of the line.
		if rest := c.rest(); rest != "" {
			word += rest
		}
		e, err := s.sys.LookupObject(ctx, word)
		if err != nil {
			if !errors.Is(err, windows.ErrNoObject) {
				s.notef("%v", err)
			}
			return Failf("Object %s not found", word)
		}
		return s.showObject(ctx, e.Object, objectDefault, 0)
	}
	addr, err := s.evaluate(word)
	if err != nil {
		return err
	}
	if addr == 0 && !c.Args.Done() {
		return s.listObjectsOfType(ctx, strings.TrimSpace(c.rest()))
	}
	flags, err := s.extensionNumberOr(c, objectDefault)
	if err != nil {
		return err
	}
	return s.showObject(ctx, s.sys.ObjectAt(addr), flags, 0)
}

// rest takes what is left of the command's arguments as it was typed.
func (c *Call) rest() string {
	start := c.Args.Pos
	for !c.Args.Done() {
		c.Word()
	}
	return strings.TrimRight(c.Args.Text[start:c.Args.Pos], " \t")
}

// showObject prints an object; the counts and the name stand indent further to
// the right, as !handle shows them.
func (s *Session) showObject(ctx context.Context, o windows.KernelObject, flags uint64, indent int) error {
	t, err := o.ObjectType()
	if err != nil {
		s.notef("object %x: %v", o.Addr(), err)
		return Failf("%016x is not a valid object (ObjectHeader at %016x)", o.Addr(), o.Header().Addr())
	}
	s.printf("Object: %016x  Type: (%016x) %s\n", o.Addr(), t.Addr, visible(t.Name))
	if flags&objectCounts == 0 {
		return nil
	}
	pad := strings.Repeat(" ", 4+indent)
	s.printf("    ObjectHeader: %016x (new version)\n", o.Header().Addr())
	s.printf("%sHandleCount: %s  PointerCount: %s\n", pad, countText(o.HandleCount), countText(o.PointerCount))
	s.showObjectName(o, t.Name, pad)
	if flags&objectHeaders != 0 {
		s.showOptionalHeaders(o, pad)
	}
	if flags&objectPath != 0 {
		if path, err := o.Path(); err != nil {
			s.notef("path of %x: %v", o.Addr(), err)
		} else if path != "" {
			s.printf("%sFull Path: %s\n", pad, visible(path))
		}
	}
	if flags&objectContents == 0 {
		return nil
	}
	switch t.Name {
	case "Directory":
		return s.showDirectory(ctx, o.Addr())
	case "SymbolicLink":
		s.showLink(o.Addr(), pad)
	}
	return nil
}

func countText(value func() (int64, error)) string {
	v, err := value()
	if err != nil {
		return notAccessible
	}
	return decimal(v)
}

// showObjectName prints the name line of objects that have a name, or are
// something with one.
func (s *Session) showObjectName(o windows.KernelObject, kind, pad string) {
	name, dir, err := s.objectName(o, kind)
	if err != nil {
		s.notef("name of object %x: %v", o.Addr(), err)
		return
	}
	if name == "" {
		return
	}
	s.printf("%sDirectory Object: %08x  Name: %s\n", pad, dir, visible(name))
}

// objectName returns what the name line shows: a file's name with its device
// in braces, a key's path, else the name in a directory.
func (s *Session) objectName(o windows.KernelObject, kind string) (name string, dir uint64, err error) {
	switch kind {
	case "File":
		f := s.sys.FileObject(o.Addr())
		if name, err = f.Name(); err != nil {
			return "", 0, err
		}
		if device, err := f.DeviceName(); err == nil && device != "" {
			name += " {" + device + "}"
		}
		return name, 0, nil
	case "Key":
		name, err = o.Title()
		return name, 0, err
	}
	if name, err = o.Name(); err != nil || name == "" {
		return "", 0, err
	}
	dir, err = o.Directory()
	return name, dir, err
}

func (s *Session) showOptionalHeaders(o windows.KernelObject, pad string) {
	headers, err := o.OptionalHeaders()
	if err != nil {
		s.notef("optional headers of %x: %v", o.Addr(), err)
	}
	if len(headers) == 0 {
		return
	}
	s.printf("%sOptional Headers:\n", pad)
	for _, h := range headers {
		if h.Type() != nil {
			s.printf("%s    %s(%016x)\n", pad, headerWord(h.Type().Name), h.Addr())
		}
	}
}

// headerWord makes "NameInfo" of "_OBJECT_HEADER_NAME_INFO".
func headerWord(typeName string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(strings.TrimPrefix(typeName, "_OBJECT_HEADER_"), "_") {
		if part != "" {
			b.WriteString(part[:1] + strings.ToLower(part[1:]))
		}
	}
	return b.String()
}

func (s *Session) showDirectory(ctx context.Context, addr uint64) error {
	started, bucket := false, -1
	for e, err := range s.sys.DirectoryEntries(ctx, addr) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.notef("%v", err)
			continue
		}
		if !started {
			started = true
			s.printf("\n    Hash Address          Type                      Name\n    ---- -------          ----                      ----\n")
		}
		hash := "  "
		if e.Bucket != bucket {
			bucket = e.Bucket
			hash = twoDigits(bucket)
		}
		kind, err := e.Object.TypeName()
		if err != nil {
			kind = notAccessible
		}
		name := e.Name
		if e.Err != nil {
			name = notAccessible
		}
		s.printf("     %s  %016x %-25s %s\n", hash, e.Object.Addr(), visible(kind), visible(name))
	}
	return nil
}

func (s *Session) showLink(addr uint64, pad string) {
	link, err := s.sys.SymbolicLink(addr)
	if err != nil {
		s.notef("symbolic link %x: %v", addr, err)
		return
	}
	s.printf("%sTarget String is '%s'\n", pad, visible(link.Target))
	if link.Drive > 0 && link.Drive <= 26 {
		s.printf("%sDrive Letter Index is %d (%c:)\n", pad, link.Drive, 'A'+rune(link.Drive-1))
	}
}

// listObjectsOfType prints every object of a type that can be found: the
// kernel keeps a list of them only where it was told to.
func (s *Session) listObjectsOfType(ctx context.Context, name string) error {
	t, ok := s.sys.ObjectTypeNamed(name)
	if !ok {
		return Failf("Object type %s not found", name)
	}
	s.printf("Listing all objects of type %s\n", visible(t.Name))
	total := 0
	for o, err := range s.sys.ObjectsOfType(ctx, t) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.notef("%v", err)
			continue
		}
		total++
		if err := s.showObject(ctx, o, objectCounts, 0); err != nil {
			return err
		}
	}
	s.printf("The total number of objects is %d\n", total)
	return nil
}
