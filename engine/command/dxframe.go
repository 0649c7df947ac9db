package command

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"kdap/engine/arch"
	"kdap/engine/arch/amd64"
	"kdap/engine/model"
	"kdap/engine/types"
	"kdap/engine/windows"
)

// stack is the stack from a register context.
func (h *modelHost) stack(regs registersOf) *model.Object {
	return model.NewObject(model.Lazily("Frames", func(context.Context) (model.Value, error) { return h.frames(regs), nil }))
}

func (h *modelHost) currentStack(context.Context) (model.Value, error) {
	return h.stack(h.sessionRegisters), nil
}

func (h *modelHost) currentRegisters(context.Context) (model.Value, error) {
	return h.registers(h.sessionRegisters), nil
}

// frames are the rows of a stack as k shows them.
func (h *modelHost) frames(get registersOf) *model.Object {
	return model.Numbered(func(ctx context.Context, yield func(v model.Value) bool) error {
		regs, err := get(ctx)
		if err != nil {
			return nil
		}
		st := h.s.walk(ctx, regs, h.s.settings.kframes)
		number := 0
		for _, f := range st.Frames {
			h.s.loadFor(ctx, f)
			for _, row := range h.s.rows(ctx, f) {
				if err := ctx.Err(); err != nil {
					return err
				}
				if !yield(h.frame(row, number, regs)) {
					return nil
				}
				number++
			}
		}
		return nil
	})
}

// currentFrame is the chosen frame.
func (h *modelHost) currentFrame(ctx context.Context) (model.Value, error) {
	s := h.s
	regs := s.scope.regs
	if regs == nil {
		return nil, model.SystemError(model.Fail)
	}
	f, ok := windows.Frame{}, false
	if w := s.scope.frame.walked; w != nil {
		f, ok = *w, true
	} else if st := s.walk(ctx, regs, 1); len(st.Frames) > 0 {
		f, ok = st.Frames[0], true
		s.loadFor(ctx, f)
	}
	if !ok {
		return nil, model.SystemError(model.Fail)
	}
	return h.frame(s.rowOf(ctx, f, s.scope.frame.inlined), s.scope.frame.number, regs), nil
}

// frameText names a frame: blanks stand around the sign.
func (h *modelHost) frameText(ctx context.Context, row stackRow) string {
	m := h.s.moduleSet(ctx).Find(row.frame.IP)
	switch {
	case m == nil:
		return shortHex(row.frame.IP)
	case row.inline != nil:
		return spacedOffset(inlineName(m, row.inline), row.inline.Offset)
	}
	p, _ := h.s.place(ctx, row.frame.IP)
	if p.Name == "" || p.Outside {
		return spacedOffset(m.Name, row.frame.IP-m.Base)
	}
	return spacedOffset(m.Name+"!"+p.Name, p.Offset)
}

func spacedOffset(name string, off uint64) string {
	if off == 0 {
		return name
	}
	return fmt.Sprintf("%s + 0x%x", name, off)
}

func (h *modelHost) frame(row stackRow, number int, regs arch.Registers) *model.Object {
	return &model.Object{
		Text: func(ctx context.Context) (string, error) { return h.frameText(ctx, row), nil },
		Members: func(context.Context) []model.Member {
			return []model.Member{
				model.Lazily("LocalVariables", func(ctx context.Context) (model.Value, error) { return h.frameVariables(ctx, row, regs, false), nil }),
				model.Lazily("Parameters", func(ctx context.Context) (model.Value, error) { return h.frameVariables(ctx, row, regs, true), nil }),
				model.Method("SwitchTo", "SwitchTo() - Switch to this frame as the default context", true,
					func(context.Context, []model.Value) (model.Value, error) {
						if h.s.scope.regs != regs {
							h.s.setRegisters(regs)
						}
						h.s.scope.frame = frameScope{number: number, walked: &row.frame, inlined: row.inlined}
						return model.Void{}, nil
					}),
				model.Lazily("Attributes", func(ctx context.Context) (model.Value, error) { return h.frameAttributes(row, number), nil }),
			}
		},
	}
}

// frameContext are the registers in a frame; those that a walk does not follow
// are the context's. Nil where they are none that variables are looked up with.
func frameContext(f *windows.Frame, from arch.Registers) *amd64.Context {
	regs, o := f.Context(), amd64Part(from)
	if regs == nil || o == nil {
		return nil
	}
	regs.EFlags, regs.CS, regs.SS = o.EFlags, o.CS, o.SS
	regs.DS, regs.ES, regs.FS, regs.GS = o.DS, o.ES, o.FS, o.GS
	return regs
}

// frameVariables are the variables of a frame or its parameters, by name.
func (h *modelHost) frameVariables(ctx context.Context, row stackRow, o arch.Registers, parameters bool) *model.Object {
	out := &model.Object{}
	m := h.s.moduleSet(ctx).Find(row.frame.IP)
	if m == nil {
		return out
	}
	regs := frameContext(&row.frame, o)
	all, err := m.Locals(ctx, h.s.symbolsOf(ctx, m), row.frame.IP, row.inlined, regs)
	if err != nil {
		return out
	}
	all = slices.DeleteFunc(all, func(l windows.Local) bool { return l.Param != parameters })
	if parameters && len(all) > 0 {
		declared := slices.Clone(all)
		out.Text = func(ctx context.Context) (string, error) { return h.parametersText(ctx, declared), nil }
	}
	slices.SortStableFunc(all, func(a, b windows.Local) int { return cmp.Compare(a.Name, b.Name) })
	var members []model.Member
	for _, l := range all {
		members = append(members, model.Property(l.Name, rawValue(h.local(l))))
	}
	out.Members = func(context.Context) []model.Member { return members }
	return out
}

// rawValue has character arrays shown by their elements.
func rawValue(v model.Value) model.Value {
	if n, ok := v.(model.Native); ok && n.Type != nil && n.Type.Kind == types.Array {
		return n.Raw()
	}
	return v
}

// parametersText lists parameters with their values, in their declared order.
func (h *modelHost) parametersText(ctx context.Context, params []windows.Local) string {
	var parts []string
	m := h.s.machineOf()
	for _, l := range params {
		v, ok := h.local(l).(model.Native)
		if !ok {
			parts = append(parts, l.Name+" = <unavailable>")
			continue
		}
		text, _, err := m.Text(ctx, v, model.Spec{})
		if err != nil {
			text = err.Error()
		}
		if v.Type.Kind == types.Pointer {
			text, _, _ = strings.Cut(text, " : ")
		}
		parts = append(parts, fmt.Sprintf("%s %s = %s", model.TypeName(v.Type), l.Name, text))
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// frameOffsetBelow is how far the frame's offset lies below the caller's
// stack pointer: the return address and the saved frame pointer.
const frameOffsetBelow = 0x10

func (h *modelHost) frameAttributes(row stackRow, number int) *model.Object {
	f := row.frame
	var offset uint64
	if f.CallerSP != 0 {
		offset = f.CallerSP - frameOffsetBelow
	}
	return model.NewObject(
		model.Property("IsInlineFrame", model.Truth(row.inline != nil)),
		model.Property("InstructionOffset", model.U64(f.IP)),
		model.Property("ReturnOffset", model.U64(f.Return)),
		model.Property("FrameOffset", model.U64(offset)),
		model.Property("StackOffset", model.U64(f.SP)),
		model.Property("FuncTableEntry", model.U64(0)),
		model.Property("Virtual", model.I32(1)),
		model.Property("FrameNumber", model.U64(uint64(number))),
		model.Lazily("SourceInformation", func(ctx context.Context) (model.Value, error) { return h.sourceInformation(ctx, row), nil }),
		model.Property("FrameMachine", model.String(h.machine().short)),
	)
}

func (h *modelHost) sourceInformation(ctx context.Context, row stackRow) *model.Object {
	var members []model.Member
	m := h.s.moduleSet(ctx).Find(row.frame.IP)
	if m == nil {
		return model.NewObject()
	}
	p, _ := h.s.place(ctx, row.frame.IP)
	name, offset, file, number := p.Name, p.Offset, p.File, p.Line
	if row.inline != nil {
		name, offset, file, number = row.inline.Name, row.inline.Offset, row.inline.File, row.inline.Line
	}
	if name != "" && !p.Outside {
		members = append(members,
			model.Property("FunctionName", model.String(name)),
			model.Property("FunctionAddress", model.U64(row.frame.IP-offset)),
			model.Property("FunctionOffset", model.U64(offset)))
	}
	if file != "" {
		members = append(members, model.Property("SourceFile", model.String(file)), model.Property("SourceLine", model.U64(uint64(number))))
	}
	_, path := m.DebuggerImage()
	return model.NewObject(append(members, model.Property("Module", model.String(path)), model.Property("AlternateFunctions", emptyContainer()))...)
}
