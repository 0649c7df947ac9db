package command

import (
	"context"
	"io"
	"slices"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/memory"
	"kdap/engine/model"
	"kdap/engine/pdb"
	"kdap/engine/types"
	"kdap/engine/windows"
)

// modelHost shows a session to the data model.
type modelHost struct{ s *Session }

var _ model.Host = (*modelHost)(nil)

func (s *Session) modelHost() *modelHost {
	if s.model.host == nil {
		s.model.host = &modelHost{s}
		s.model.settings.RecursionDepth = 1
		s.model.maxText = 0x200
	}
	return s.model.host
}

// Model returns the data model over the session, for views of its objects. It
// must be used as the session is: by one goroutine at a time, and not while a
// command line runs. What evaluating has to say besides its error is dropped.
func (s *Session) Model(ctx context.Context) *model.Machine {
	s.ctx, s.out, s.note = ctx, io.Discard, func(string) {}
	s.catchUp(ctx)
	return s.machineOf()
}

func (s *Session) machineOf() *model.Machine { return model.NewMachine(s.modelHost(), false) }

func (h *modelHost) Memory() memory.Space { return h.s.space() }

func (h *modelHost) Settings() *model.Settings {
	h.s.model.settings.Radix = h.s.settings.radix
	return &h.s.model.settings
}

func (h *modelHost) Local(ctx context.Context, name string) (model.Value, bool) {
	l, ok := h.s.localNamed(ctx, name)
	if !ok || l.Name != name && h.s.settings.symopt&1 == 0 {
		return nil, false
	}
	return h.local(l), true
}

// local returns a variable as an object.
func (h *modelHost) local(l windows.Local) model.Value {
	switch l.Place {
	case windows.InMemory, windows.InStaticData:
		return model.NativeAt(h.s.space(), l.Type, l.Addr)
	case windows.InRegister, windows.AsConstant:
		return model.NativeValue(h.s.space(), l.Type, l.Bits)
	}
	return model.Failure{Err: model.Errorf("Value unavailable error for %s", l.Name)}
}

func (h *modelHost) Root(name string) (model.Value, bool) {
	if name == "Debugger" {
		return h.debugger(), true
	}
	return nil, false
}

func (h *modelHost) HasModule(ctx context.Context, name string) bool {
	// The kernel's name is known in user dumps too, where nothing has it.
	return h.s.moduleNamed(ctx, name) != nil || h.s.sys.User() != nil && strings.EqualFold(name, "nt")
}

func (h *modelHost) Type(ctx context.Context, module, name string) (*types.Type, bool) {
	for _, m := range h.typeModules(ctx, module) {
		if t, ok := h.s.symbolsOf(ctx, m).Type(name); ok {
			return t, true
		}
	}
	return nil, false
}

// typeModules are the modules that a name is looked up in: the named one, or
// that of the current frame and then those with symbols.
func (h *modelHost) typeModules(ctx context.Context, module string) []*windows.Module {
	mods := h.s.modulesFor(ctx, module)
	if module != "" {
		return mods
	}
	regs, err := h.s.frameRegs()
	if err != nil || regs == nil {
		return mods
	}
	if m := h.s.moduleSet(ctx).Find(regs.ProgramCounter()); m != nil {
		mods = append([]*windows.Module{m}, slices.DeleteFunc(mods, func(x *windows.Module) bool { return x == m })...)
	}
	return mods
}

func (h *modelHost) Symbol(ctx context.Context, module, name string) (model.Value, bool) {
	for _, m := range h.typeModules(ctx, module) {
		if err := ctx.Err(); err != nil {
			return nil, false
		}
		if v, ok := h.symbolIn(ctx, m, name); ok {
			return v, true
		}
	}
	return nil, false
}

// symbolIn looks a name up in one module: data and functions, constants and
// enumerators, types.
func (h *modelHost) symbolIn(ctx context.Context, m *windows.Module, name string) (model.Value, bool) {
	t := h.s.symbolsOf(ctx, m)
	space := h.s.space()
	if sym, ok := t.Lookup(name); ok {
		typ := sym.Type()
		if typ == nil {
			typ = model.Basic("void")
		}
		return model.NativeAt(space, typ, m.Base+uint64(sym.RVA)), true
	}
	if f := t.PDB(); f != nil {
		for g := range f.LookupGlobals(name) {
			if g.Kind == pdb.SConstant && g.Name == name {
				typ := constantType(f, g)
				return model.NativeValue(space, typ, g.Value), true
			}
		}
	}
	if typ, ok := t.Type(name); ok && typ.Name == name {
		return model.TypeNameValue{Type: typ}, true
	}
	if typ, value, ok := h.s.enumerator(t.Types(), name); ok {
		return model.NativeValue(space, typ, value), true
	}
	return nil, false
}

// constantType is the type of a constant, int when the file does not say.
func constantType(f *pdb.File, g pdb.Symbol) *types.Type {
	if t := f.ResolvedType(g.TI); t != nil && (t.Size == 1 || t.Size == 2 || t.Size == 4 || t.Size == 8) {
		return t
	}
	return model.Basic("int")
}

// enumerator finds the enum that has an enumerator of a name.
func (s *Session) enumerator(src types.Source, name string) (*types.Type, uint64, bool) {
	if src == nil {
		return nil, 0, false
	}
	for t := range src.Types() {
		if t.Kind != types.Enum || t.Forward {
			continue
		}
		for _, e := range t.Enumerators() {
			if e.Name == name {
				return t, uint64(e.Value), true
			}
		}
	}
	return nil, 0, false
}

func (h *modelHost) CodeName(ctx context.Context, va uint64) string {
	if p, ok := h.s.place(ctx, va); ok && p.Name != "" && !p.Outside {
		return p.Module.Name + "!" + p.Name + "+" + shortHex(p.Offset)
	}
	return shortHex(va)
}

func (h *modelHost) Unqualified(name string) {
	h.s.printf("%s", expr.MissingTypeBox(name, h.s.settings.symopt&symoptNoUnqualified != 0))
}

// Register returns @name. All of the processor's are shown as 64-bit numbers.
func (h *modelHost) Register(_ context.Context, name string) (model.Value, bool) {
	if name == "" {
		return nil, false
	}
	regs, err := h.s.registers()
	if err != nil {
		return nil, false
	}
	lower := strings.ToLower(name)
	if v, _, ok := regs.Get(lower); ok {
		t := "unsigned __int64"
		if lower == "efl" {
			t = "unsigned int"
		}
		return model.NativeValue(h.s.space(), model.Basic(t), v), true
	}
	if v, ok := h.s.specialRegister(lower); ok {
		return model.NativeValue(h.s.space(), model.Basic("unsigned __int64"), v), true
	}
	return nil, false
}

// debuggerVariables are the @$ names of the model's own objects, in the order
// in which they are listed.
func (h *modelHost) debuggerVariables() []model.Member {
	return []model.Member{
		model.Lazily("cursession", func(context.Context) (model.Value, error) { return h.session(), nil }),
		model.Lazily("curprocess", h.currentProcess),
		model.Lazily("curthread", h.currentThread),
		model.Property("scripts", emptyContainer()),
		model.Property("scriptContents", model.NewObject()),
		model.Lazily("vars", func(context.Context) (model.Value, error) { return h.variables(), nil }),
		model.Lazily("curstack", h.currentStack),
		model.Lazily("curframe", h.currentFrame),
		model.Lazily("curregisters", h.currentRegisters),
		model.Lazily("debuggerRootNamespace", func(context.Context) (model.Value, error) { return h.root(), nil }),
	}
}

func emptyContainer() *model.Object { return model.List() }

func (h *modelHost) Variable(ctx context.Context, name string) (model.Value, error) {
	for _, v := range h.s.model.vars {
		if v.name == name {
			return v.value, nil
		}
	}
	for _, m := range h.debuggerVariables() {
		if m.Name == name {
			return m.Get(ctx)
		}
	}
	return h.pseudo(ctx, name)
}

// errNoPseudo is what a pseudo-register without a value says.
var errNoPseudo = model.Errorf("Unable to access pseudo-register")

// pseudoTypes are the C++ types of pseudo-registers where they differ from
// those that ?? has.
var pseudoTypes = map[string]string{
	"ra": "unsigned char *", "csp": "unsigned char *", "exentry": "unsigned char *", "ip": "unsigned char *", "eventip": "unsigned char *",
	"scopeip": "unsigned char *", "previp": "unsigned char *", "relip": "unsigned char *", "retreg": "unsigned char *",
	"retreg64": "unsigned char *", "argreg": "unsigned char *",
	"dtid": "unsigned int", "dpid": "unsigned int", "dsid": "unsigned int", "ptrsize": "unsigned int", "pagesize": "unsigned int",
	"exr_chance": "unsigned int", "exr_code": "unsigned int", "exr_numparams": "unsigned int", "bug_code": "unsigned int",
}

// pseudo returns a pseudo-register as an object.
func (h *modelHost) pseudo(ctx context.Context, name string) (model.Value, error) {
	lower := strings.ToLower(name)
	s := h.s
	switch lower {
	case "exp", "ea", "ea2", "p", "tid", "tpid", "bphit", "callret", "fp":
		return nil, errNoPseudo
	case "argreg":
		regs, err := s.registers()
		if err != nil {
			return nil, errNoPseudo
		}
		v, _, _ := regs.Get("rcx")
		return h.pseudoValue(lower, v), nil
	}
	if n, ok := userPseudo("$" + lower); ok {
		v := s.pseudo.t[n]
		switch {
		case v.Type == nil:
			return nil, errNoPseudo
		case v.Located:
			return model.NativeAt(s.space(), v.Type, v.Addr), nil
		}
		return model.NativeValue(s.space(), v.Type, v.Bits), nil
	}
	r, err := s.pseudoRegister(ctx, "$"+lower)
	switch {
	case err == expr.ErrNotFound:
		return nil, model.ErrUndefined
	case err != nil:
		return nil, errNoPseudo
	case r.Class == expr.Typed && pseudoTypes[lower] == "":
		return model.NativeValue(s.space(), r.Value.Type, r.Value.Bits), nil
	case r.Class == expr.Typed:
		return h.pseudoValue(lower, r.Value.Bits), nil
	}
	return h.pseudoValue(lower, r.Bits), nil
}

func (h *modelHost) pseudoValue(name string, bits uint64) model.Value {
	t := model.Basic("unsigned __int64")
	switch word := pseudoTypes[name]; word {
	case "":
	case "unsigned char *":
		t = model.PointerTo(model.Basic("unsigned char"))
	default:
		t = model.Basic(word)
	}
	return model.NativeValue(h.s.space(), t, bits)
}

func (h *modelHost) SetVariable(_ context.Context, name string, v model.Value) (model.Value, error) {
	if n, ok := userPseudo("$" + strings.ToLower(name)); ok {
		nv, err := model.AsNative(h, v)
		if err != nil {
			return nil, err
		}
		out := expr.Value{Type: nv.Type, Addr: nv.Addr, Located: nv.Located, Bits: nv.Bits}
		if nv.Located {
			if read, err := expr.At(h.s.env(), nv.Type, nv.Addr); err == nil {
				out = read
			}
		}
		h.s.pseudo.t[n] = out
		return nv, nil
	}
	for _, m := range h.debuggerVariables() {
		if m.Name == name {
			return nil, model.Errorf("Unable to assign to the object on the left side of an assignment operation")
		}
	}
	h.setVariable(name, v)
	return v, nil
}

func (h *modelHost) setVariable(name string, v model.Value) {
	vars := h.s.model.vars
	for i := range vars {
		if vars[i].name == name {
			vars[i].value = v
			return
		}
	}
	h.s.model.vars = append(vars, userVariable{name, v})
}

// variables is @$vars.
func (h *modelHost) variables() *model.Object {
	o := &model.Object{Members: func(context.Context) []model.Member {
		var members []model.Member
		for _, v := range h.s.model.vars {
			members = append(members, model.Property(v.name, v.value))
		}
		return append(members,
			model.Method("Add", "Add(Name, Value) - Method which adds a variable of the specified name to the list of user variables", true,
				func(_ context.Context, args []model.Value) (model.Value, error) {
					name, ok := variableName(args, 2)
					if !ok {
						return nil, wrongArguments("Add")
					}
					h.setVariable(name, args[1])
					return model.Void{}, nil
				}),
			model.Method("Clear", "Clear() - Method which removes all user variables", true,
				func(context.Context, []model.Value) (model.Value, error) {
					h.s.model.vars = nil
					return model.Void{}, nil
				}),
			model.Method("Remove", "Remove(Name) - Method which removes a variable from the list of user variables", true,
				func(_ context.Context, args []model.Value) (model.Value, error) {
					name, ok := variableName(args, 1)
					if !ok {
						return nil, wrongArguments("Remove")
					}
					h.s.model.vars = slices.DeleteFunc(h.s.model.vars, func(v userVariable) bool { return v.name == name })
					return model.Void{}, nil
				}))
	}}
	return o
}

func variableName(args []model.Value, n int) (string, bool) {
	if len(args) != n {
		return "", false
	}
	s, ok := args[0].(model.String)
	return string(s), ok && s != ""
}

func wrongArguments(method string) error {
	return model.Errorf("Incorrect number of arguments to method '%s'", method)
}
