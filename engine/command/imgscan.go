package command

import (
	"context"
	"encoding/binary"

	"kdap/engine/expr"
	"kdap/engine/format"
	"kdap/engine/memory"
	"kdap/engine/pe"
	"kdap/engine/windows"
)

func cmdImgscan() *Command {
	return &Command{
		Names: []string{".imgscan"}, Args: "[/l] [/v] [/r Range]", Short: "find image headers in memory",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			var o imageScan
			for !c.Args.Done() && (c.Args.Text[c.Args.Pos] == '/' || c.Args.Text[c.Args.Pos] == '-') {
				c.Args.Pos++
				letter := byte('?')
				if rest := c.Args.Rest(); rest != "" {
					letter = rest[0]
					c.Args.Pos++
				}
				switch letter {
				case 'l':
					o.load = true
				case 'v':
					o.verbose = true
				case 'r':
					if err := s.scanRange(ctx, c.Args, &o); err != nil {
						return err
					}
				default:
					s.printf("Unknown option '%c'\n", letter)
				}
			}
			if o.ranged {
				s.scanImages(ctx, o)
				return ctx.Err()
			}
			s.scanSavedImages(ctx, o)
			return ctx.Err()
		},
	}
}

// imageScan says where .imgscan looks and what it tells.
type imageScan struct {
	load, verbose, ranged bool
	start, size           uint64
}

// scanRange reads a range; the name of a module alone covers all of it.
func (s *Session) scanRange(ctx context.Context, c *expr.Cursor, o *imageScan) error {
	r, err := expr.ReadRange(s.env(), c, expr.RangeSpec{ElemSize: 1, Default: pageSize})
	if err != nil {
		return err
	}
	o.ranged, o.start, o.size = true, r.Addr, r.Count
	if m := s.moduleSet(ctx).Find(r.Addr); !r.Given && m != nil && m.Base == r.Addr {
		o.size = m.Size
	}
	return nil
}

const pageSize = 0x1000

// scanImages looks at every page of the range.
func (s *Session) scanImages(ctx context.Context, o imageScan) {
	if o.verbose {
		s.printf("*** Checking %s - %s\n", format.Addr(o.start), format.Addr(o.start+o.size-1))
	}
	space := s.space()
	first := (o.start + pageSize - 1) &^ (pageSize - 1)
	pages := uint64(0)
	if skip := first - o.start; o.size > skip {
		pages = (o.size - skip + pageSize - 1) / pageSize
	}
	for i := range pages {
		if ctx.Err() != nil {
			return
		}
		va := first + i*pageSize
		if !hasMZ(space, va) {
			continue
		}
		s.printf("MZ at %s", format.Addr(va))
		s.describeImage(ctx, space, va, o)
	}
}

// scanSavedImages looks at the memory that a dump without page tables saved:
// every page in it can begin with an image.
func (s *Session) scanSavedImages(ctx context.Context, o imageScan) {
	t, ok := s.target.Dump.Triage()
	if !ok {
		return
	}
	space := s.space()
	for b := range t.Space().All() {
		size := uint64(len(b.Data))
		if o.verbose {
			s.printf("*** Checking %s - %s\n", format.Addr(b.VA), format.Addr(b.VA+size-1))
		}
		for va := (b.VA + pageSize - 1) &^ (pageSize - 1); va-b.VA < size; va += pageSize {
			if ctx.Err() != nil {
				return
			}
			if hasMZ(space, va) {
				// The engine gives saved blocks these attributes: read-write, private.
				s.printf("MZ at %s, prot %08x, type %08x", format.Addr(va), 4, 0x20000)
				s.describeImage(ctx, space, va, o)
			}
		}
	}
}

func hasMZ(space memory.Space, va uint64) bool {
	var b [2]byte
	_, err := space.Read(va, b[:])
	return err == nil && binary.LittleEndian.Uint16(b[:]) == 0x5a4d
}

// describeImage prints the rest of the row of an image, and its name.
func (s *Session) describeImage(ctx context.Context, space memory.Space, va uint64, o imageScan) {
	img, err := pe.FromMemory(space, va)
	if err != nil {
		s.printf("\n")
		return
	}
	s.printf(" - size %x\n", img.SizeOfImage)
	name := scannedName(img)
	if name == "" {
		return
	}
	s.printf("  Name: %s\n", visible(name))
	if !o.load {
		return
	}
	if s.moduleSet(ctx).Find(va) == nil {
		s.modules.declare(ctx, s, s.sys.DeclaredModule(name, va, uint64(img.SizeOfImage), img.TimeDateStamp, va>>63 == 0))
	}
	s.printf("  Loaded %s module\n", visible(name))
}

// scannedName is the name an image has for itself: in its export directory,
// else that of its PDB.
func scannedName(img *pe.Image) string {
	if name, err := img.ExportName(); err == nil && name != "" {
		return name
	}
	return windows.ImageNameOfPDB(img)
}
