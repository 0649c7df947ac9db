package command

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"kdap/engine/dump"
	"kdap/engine/model"
	"kdap/engine/windows"
)

func shortHex(v uint64) string { return fmt.Sprintf("0x%x", v) }

// root is the debugger's name space.
func (h *modelHost) root() *model.Object {
	return model.NewObject(model.Lazily("Debugger", func(context.Context) (model.Value, error) { return h.debugger(), nil }))
}

func (h *modelHost) debugger() *model.Object {
	return model.NewObject(
		model.Property("Sessions", model.List(h.session())),
		model.Lazily("Settings", func(context.Context) (model.Value, error) { return h.settingsObject(), nil }),
		model.Lazily("State", func(context.Context) (model.Value, error) { return h.state(), nil }),
		model.Lazily("Utility", func(context.Context) (model.Value, error) { return h.utility(), nil }),
	)
}

// session is the one session there is: the dump.
func (h *modelHost) session() *model.Object {
	o := model.NewObject(
		model.Lazily("Processes", func(context.Context) (model.Value, error) { return h.processes(), nil }),
		model.Property("Id", model.I32(0)),
		model.Lazily("Attributes", func(context.Context) (model.Value, error) { return h.attributes(), nil }),
	)
	return o.WithText(h.s.statusLine())
}

func (h *modelHost) attributes() *model.Object {
	details := model.NewObject()
	user := h.s.sys.User() != nil
	if !user && h.s.target.Dump.Type() != dump.Triage {
		details = model.NewObject(
			model.Property("DumpFileName", model.String(h.s.dumpPath())),
			model.Property("KD_VERSION", h.kdVersion()),
			model.Lazily("KD_DATA", h.kdData),
		)
	}
	m := h.machine()
	return model.NewObject(
		model.Property("Machine", model.NewObject(
			model.Property("FullName", model.String(m.full)),
			model.Property("AbbrevName", model.String(m.short)),
			model.Property("PageSize", model.U64(0x1000)),
			model.Property("PointerSize", model.U64(m.pointer)),
			model.Property("IsBigEndian", model.Truth(false)),
		)),
		model.Property("Target", model.NewObject(append(
			flags("IsUserTarget", user, "IsKernelTarget", !user, "IsDumpTarget", true, "IsTTDTarget", false, "IsReptTarget", false,
				"IsReplayableTarget", false, "IsLiveTarget", false, "IsLocalKernelTarget", false, "IsExdiKernelTarget", false,
				"IsConnectedKernelTarget", false, "IsNTTarget", true),
			model.Property("Details", details))...)),
	)
}

// A modelMachine is how the data model names a processor.
type modelMachine struct {
	full, short string
	pointer     uint64
}

// machine names the dump's processor.
func (h *modelHost) machine() modelMachine {
	kind := h.s.target.Dump.Header.MachineImageType
	if u := h.s.sys.User(); u != nil {
		kind = u.Machine()
	}
	switch kind {
	case 0x14c:
		return modelMachine{"x86", "x86", 4}
	case 0x1c4:
		return modelMachine{"ARM (NT) Thumb-2", "ARM", 4}
	case 0xaa64:
		return modelMachine{"ARM64", "ARM64", 8}
	}
	return modelMachine{"x64", "AMD64", 8}
}

// flags makes properties of names that are followed by true or false.
func flags(pairs ...any) []model.Member {
	var out []model.Member
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, model.Property(pairs[i].(string), model.Truth(pairs[i+1].(bool))))
	}
	return out
}

// kdVersion is what the debugger's version request would have told.
func (h *modelHost) kdVersion() *model.Object {
	d := h.s.target.Dump.Header
	var base uint64
	if nt := h.s.sys.Nt(); nt != nil {
		base = nt.Base
	}
	const pointersAre64, dataIsThere = 4, 2 // DBGKD_VERS_FLAG_PTR64, DBGKD_VERS_FLAG_DATA
	return numbers(
		"MajorVersion", uint64(d.MajorVersion), "MinorVersion", uint64(d.MinorVersion), "ProtocolVersion", uint64(0),
		"KdSecondaryVersion", uint64(0), "Flags", uint64(pointersAre64|dataIsThere), "MachineType", uint64(d.MachineImageType),
		"MaxPacketType", uint64(0), "MaxStateChange", uint64(0), "MaxManipulate", uint64(0), "Simulation", uint64(0),
		"KernBase", base, "PsLoadedModuleList", d.PsLoadedModuleList, "DebuggerDataList", uint64(0))
}

func numbers(pairs ...any) *model.Object {
	var out []model.Member
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, model.Property(pairs[i].(string), model.U64(pairs[i+1].(uint64))))
	}
	return model.NewObject(out...)
}

// kdData shows the kernel's debugger block by the names of its public
// definition.
func (h *modelHost) kdData(context.Context) (model.Value, error) {
	block, err := h.s.sys.KDBGBlock()
	if err != nil {
		return nil, err
	}
	members := []model.Member{model.Property("Header", kdHeader(block))}
	for _, f := range windows.KDBGFields() {
		var b [8]byte
		if f.Offset+f.Size <= len(block) {
			copy(b[:], block[f.Offset:f.Offset+f.Size])
		}
		v := binary.LittleEndian.Uint64(b[:])
		if v == 0 && f.Name == "OffsetEProcessMmHotPatchContext" {
			// Blocks of older builds end before it, and debuggers fill it in.
			if t, err := h.s.sys.Type("_EPROCESS"); err == nil {
				if m := t.Field("MmHotPatchContext"); m != nil {
					v = m.Offset
				}
			}
		}
		if f.Bits > 0 {
			v &= 1<<f.Bits - 1
		}
		members = append(members, model.Property(f.Name, model.U64(v)))
	}
	return model.NewObject(members...), nil
}

func kdHeader(block []byte) *model.Object {
	if len(block) < 0x18 {
		return model.NewObject()
	}
	return numbers("OwnerTag", uint64(binary.LittleEndian.Uint32(block[0x10:])), "Size", uint64(binary.LittleEndian.Uint32(block[0x14:])))
}

// modulesObject is the list of modules that the session has.
func (h *modelHost) modulesObject() *model.Object {
	o := model.Numbered(func(ctx context.Context, yield func(v model.Value) bool) error {
		for _, m := range h.s.moduleSet(ctx).All() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !yield(h.module(m)) {
				return nil
			}
		}
		return nil
	})
	o.Items.At = func(ctx context.Context, index []model.Value) (model.Value, error) {
		mods := h.s.moduleSet(ctx).All()
		switch i := index[0].(type) {
		case model.String:
			for _, m := range mods {
				if image, _ := m.DebuggerImage(); strings.EqualFold(m.Name, string(i)) || strings.EqualFold(image, string(i)) {
					return h.module(m), nil
				}
			}
		default:
			if n, ok := model.Integer(i); ok && n < uint64(len(mods)) {
				return h.module(mods[n]), nil
			}
		}
		return nil, model.SystemError(model.Bounds)
	}
	return o
}

// module is one module, its symbols as this session has them.
func (h *modelHost) module(m *windows.Module) *model.Object {
	_, path := m.DebuggerImage()
	o := &model.Object{Members: func(context.Context) []model.Member {
		st := h.s.modules.state(m)
		members := []model.Member{
			model.Property("BaseAddress", model.U64(m.Base)),
			model.Property("Name", model.String(path)),
			model.Property("Size", model.U64(m.Size)),
			model.Property("MappingForm", model.String("Loaded")),
			model.Property("SymbolType", model.String(symbolTypeText(st))),
		}
		if file := symbolFile(st); file != "" {
			members = append(members, model.Property("SymbolSource", model.String(file)))
		}
		nothing := func(context.Context, []model.Value) (model.Value, error) { return model.Void{}, nil }
		return append(members,
			model.Method("ForceReload", "ForceReload - Force symbol reload for this module", true,
				func(ctx context.Context, _ []model.Value) (model.Value, error) {
					h.s.modules.state(m).loaded = false
					h.s.symbolsOf(ctx, m)
					return model.Void{}, nil
				}),
			model.Method("DisableSymbolDownload", "DisableSymbolDownload - Disables symbol download for this module", true, nothing),
			model.Method("EnableSymbolDownload", "EnableSymbolDownload - Enables symbol download for this module", true, nothing))
	}}
	return o.WithText(path)
}

// symbolTypeText is how the data model names the state of a module's symbols.
func symbolTypeText(st *moduleState) string {
	switch symbolStateText(st) {
	case "(deferred)":
		return "Deferred"
	case "(private pdb symbols)":
		return "PDB (Private)"
	case "(pdb symbols)":
		return "PDB (Public)"
	case "(isf symbols)":
		return "ISF"
	case "(export symbols)":
		return "Export"
	}
	return "None"
}
