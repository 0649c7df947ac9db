package windows

import (
	"context"
	"fmt"

	"kdap/engine/arch/amd64"
	"kdap/engine/arch/arm64"
	"kdap/engine/pe"
)

// walkARM64 walks by the unwind data of the modules. Where there is none the
// function counts as one that saved nothing: its caller is in lr.
func walkARM64(ctx context.Context, w Walk, regs arm64.Context) Stack {
	var st Stack
	for i := range w.Limit {
		if err := ctx.Err(); err != nil {
			st.Ended = err
			return st
		}
		here := regs
		f := Frame{Index: i, SP: here.SP, IP: here.PC, Module: w.Modules.Find(here.PC), Kind: KernelFrame, other: &here}
		if f.IP < userEnd {
			f.Kind = UserFrame
		}
		next := regs
		if here.PC == 0 {
			f.Kind, f.CallerSP = KernelFrame, here.SP
			st.Frames = append(st.Frames, f)
			return st
		}
		told, err := arm64.Step(&next, w.Space, f.Module.ARM64Functions(ctx), i > 0)
		if f.Rule = amd64.RuleLeaf; told {
			f.Rule = amd64.RulePData
		}
		if err == nil && next.PC == regs.PC && next.SP == regs.SP {
			err = fmt.Errorf("frame %d leads to itself", i)
		}
		if err != nil {
			f.CallerSP = next.SP
			st.Frames = append(st.Frames, f)
			st.Ended = err
			return st
		}
		f.Return, f.CallerSP = next.PC, next.SP
		st.Frames = append(st.Frames, f)
		regs = next
	}
	return st
}

// maxPdata bounds a function table.
const maxPdata = 64 << 20

// ARM64Functions returns the module's function table: from memory and, where
// that is out, from the image file. A nil module has none.
func (m *Module) ARM64Functions(ctx context.Context) *arm64.Functions {
	if m == nil {
		return nil
	}
	d := m.data()
	d.armOnce.Do(func() {
		img, err := m.Image()
		if err == nil {
			d.arm = arm64Functions(m.Base, img)
		}
		if d.arm != nil {
			return
		}
		if file, err := m.File(ctx); err == nil {
			d.arm = arm64Functions(m.Base, file)
		}
	})
	return d.arm
}

// arm64Functions returns the table of an image, nil when it cannot be read.
func arm64Functions(base uint64, img *pe.Image) *arm64.Functions {
	dir := img.Directory(pe.DirException)
	if img.Machine != imageMachineARM64 || dir.RVA == 0 || dir.Size > maxPdata {
		return nil
	}
	var b []byte
	for chunk := make([]byte, 1<<16); len(b) < int(dir.Size); {
		n, _ := img.ReadRVA(dir.RVA+uint32(len(b)), chunk[:min(len(chunk), int(dir.Size)-len(b))])
		if n == 0 {
			return nil
		}
		b = append(b, chunk[:n]...)
	}
	return &arm64.Functions{Base: base, Pdata: b, Read: func(rva uint32, p []byte) int {
		n, _ := img.ReadRVA(rva, p)
		return n
	}}
}
