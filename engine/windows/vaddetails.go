package windows

import (
	"errors"
	"fmt"
	"math/bits"

	"kdap/engine/types"
)

// A VADKind says what an address range is made of.
type VADKind string

// The kinds of ranges.
const (
	VADPrivate    VADKind = "private"
	VADMapped     VADKind = "mapped" // a view of a data file or of the paging file
	VADImage      VADKind = "image"
	VADPhysical   VADKind = "physical" // a view of device memory
	VADAWE        VADKind = "awe"
	VADWriteWatch VADKind = "writewatch"
	VADLarge      VADKind = "large" // private memory or a view in large pages
	VADRotate     VADKind = "rotate"
)

// VAD types, the kernel's _MI_VAD_TYPE.
const (
	vadNone         = 0
	vadPhysical     = 1
	vadImageMap     = 2
	vadAWE          = 3
	vadWriteWatch   = 4
	vadLarge        = 5
	vadRotate       = 6
	vadLargeSection = 7
)

func (v VAD) vadType() (uint64, error) { return v.obj.Field("u.VadFlags.VadType").Uint() }

// Private reports whether the range is private memory; otherwise it is a view
// of a section.
func (v VAD) Private() (bool, error) {
	p, err := v.obj.Field("u.VadFlags.PrivateMemory").Uint()
	return p != 0, err
}

// Kind returns what the range is made of.
func (v VAD) Kind() (VADKind, error) {
	t, err := v.vadType()
	if err != nil {
		return "", err
	}
	private, err := v.Private()
	switch {
	case err != nil:
		return "", err
	case t == vadImageMap:
		return VADImage, nil
	case t == vadPhysical:
		return VADPhysical, nil
	case t == vadAWE:
		return VADAWE, nil
	case t == vadWriteWatch:
		return VADWriteWatch, nil
	case t == vadLarge, t == vadLargeSection:
		return VADLarge, nil
	case t == vadRotate:
		return VADRotate, nil
	case t != vadNone:
		return "", fmt.Errorf("VAD %#x has the unknown type %d", v.Addr(), t)
	case private:
		return VADPrivate, nil
	}
	return VADMapped, nil
}

// Protection returns the rights the range was made with.
func (v VAD) Protection() (PageProtection, error) {
	p, err := v.obj.Field("u.VadFlags.Protection").Uint()
	return PageProtection(p), err
}

// NoChange reports whether the protection of the range may not be changed.
func (v VAD) NoChange() bool {
	p, err := v.obj.Field("u.VadFlags.NoChange").Uint()
	return err == nil && p != 0
}

// Committed reports whether private memory was committed when it was made.
func (v VAD) Committed() bool {
	p, err := v.obj.FirstField("u1.VadFlags1.MemCommit", "u.VadFlags.MemCommit").Uint()
	return err == nil && p != 0
}

// CommitPages returns the commit charge of the range, false for the ranges that
// are not counted: the kernel marks them with the largest value there is.
func (v VAD) CommitPages() (pages uint64, counted bool, err error) {
	f := v.obj.FirstField("u1.VadFlags1.CommitCharge", "u.VadFlags.CommitCharge")
	low, err := f.Uint()
	if err != nil {
		return 0, false, err
	}
	width := 64
	if t := f.Type(); t.Kind == types.BitField {
		width = int(t.BitLen)
	}
	most := bits.OnesCount64(low) == width
	if v.obj.Has("CommitChargeHigh") && width < 64 {
		high, err := v.obj.Field("CommitChargeHigh").Uint()
		if err != nil {
			return 0, false, err
		}
		// The upper part is left alone where the lower one holds the mark.
		most = most && (high == 0 || high == 0xff)
		low |= high << width
	}
	if most {
		return 0, false, nil
	}
	return low, true, nil
}

// Section returns the _MMVAD of a view; an error for private ranges, which end
// after their _MMVAD_SHORT.
func (v VAD) Section() (types.Object, error) {
	private, err := v.Private()
	if err != nil {
		return types.Object{}, err
	}
	if private {
		return types.Object{}, fmt.Errorf("VAD %#x is private memory", v.Addr())
	}
	return v.proc.sys.Struct("_MMVAD", v.Addr()), nil
}

// ControlArea returns the _CONTROL_AREA of a view's section; the zero Object
// where there is none.
func (v VAD) ControlArea() (types.Object, error) {
	m, err := v.Section()
	if err != nil {
		return types.Object{}, err
	}
	area := m.Field("Subsection").Deref().Field("ControlArea").Deref()
	if errors.Is(area.Err(), types.ErrNull) {
		return types.Object{}, nil
	}
	return area, area.Err()
}

// SectionCommit returns how many pages of the paging file a view's section has,
// whoever maps it; 0 for files.
func (v VAD) SectionCommit() (uint64, error) {
	area, err := v.ControlArea()
	if err != nil || area.Addr() == 0 {
		return 0, err
	}
	return area.Field("Segment").Deref().Field("NumberOfCommittedPages").Uint()
}

// VADAt returns the range of the process that holds an address. It follows the
// tree down, so a damaged branch elsewhere does not matter.
func (p Process) VADAt(va uint64) (VAD, bool, error) {
	short, err := p.sys.Type("_MMVAD_SHORT")
	if err != nil {
		return VAD{}, false, err
	}
	at, err := p.vadRoot()
	if err != nil {
		return VAD{}, false, err
	}
	for level := 0; level <= maxVadDepth; level++ {
		if at &^= 7; at == 0 {
			return VAD{}, false, nil
		}
		obj := types.NewObject(p.sys.Kernel(), short, at)
		v, err := newVAD(p, obj, level)
		if err != nil {
			return VAD{}, false, fmt.Errorf("VAD %#x: %w", at, err)
		}
		next := vadLeft(obj)
		switch {
		case v.Contains(va):
			return v, true, nil
		case va > v.End:
			next = vadRight(obj)
		}
		if at, err = next.Uint(); err != nil {
			return VAD{}, false, fmt.Errorf("VAD %#x: %w", v.Addr(), err)
		}
	}
	return VAD{}, false, fmt.Errorf("VADs of process %#x: the tree is not one", p.Addr())
}
