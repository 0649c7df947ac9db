package command

import (
	"context"
	"strconv"
	"strings"

	"kdap/engine/model"
	"kdap/engine/types"
)

// state is Debugger.State.
func (h *modelHost) state() *model.Object {
	return model.NewObject(
		model.Property("DebuggerInformation", model.NewObject(
			model.Property("ProcessorTarget", model.String("X64")),
			model.Property("Bitness", model.I32(64)),
			model.Property("EngineFilePath", model.String("kdap")),
			model.Property("EngineVersion", model.String(h.s.opts.Version)),
		)),
		model.Lazily("DebuggerVariables", func(context.Context) (model.Value, error) {
			return model.NewObject(h.debuggerVariables()...), nil
		}),
		model.Property("FunctionAliases", emptyContainer()),
		model.Property("PseudoRegisters", h.pseudoRegisters()),
		model.Property("Scripts", emptyContainer()),
		model.Property("StepFilters", stepFilters()),
		model.Lazily("UserVariables", func(context.Context) (model.Value, error) { return h.variables(), nil }),
		model.Property("Views", emptyContainer()),
		model.Property("ExtensionGallery", model.NewObject()),
		model.Property("MCP", model.NewObject()),
	)
}

// pseudoGroups are the pseudo-registers as the data model groups them.
var pseudoGroups = []struct{ name, words string }{
	{"Errors", "clrex lastclrex exr_chance exr_code exr_numparams exr_param0 exr_param1 exr_param2 exr_param3 exr_param4 exr_param5 " +
		"exr_param6 exr_param7 exr_param8 exr_param9 exr_param10 exr_param11 exr_param12 exr_param13 exr_param14 " +
		"bug_code bug_param1 bug_param2 bug_param3 bug_param4"},
	{"General", "exp ea ea2 p ra thread proc teb peb tid tpid exentry dtid dpid dsid frame bphit csp callret ptrsize pagesize fp"},
	{"Kernel", "pcr prcb"},
	{"RegisterAliases", "retreg retreg64 ip eventip previp relip scopeip argreg"},
	{"Temporaries", "t0 t1 t2 t3 t4 t5 t6 t7 t8 t9 t10 t11 t12 t13 t14 t15 t16 t17 t18 t19"},
}

func (h *modelHost) pseudoRegisters() *model.Object {
	var groups []model.Member
	for _, g := range pseudoGroups {
		var members []model.Member
		for name := range strings.FieldsSeq(g.words) {
			members = append(members, model.Lazily(name, func(ctx context.Context) (model.Value, error) { return h.pseudo(ctx, name) }))
		}
		if g.name == "General" { // it is the present, not the dump
			members = append(members, hidden(model.Lazily("dbgtime", func(ctx context.Context) (model.Value, error) { return h.pseudo(ctx, "dbgtime") })))
		}
		groups = append(groups, model.Property(g.name, model.NewObject(members...)))
	}
	return model.NewObject(groups...)
}

func stepFilters() *model.Object {
	filter := func(id uint64, enabled bool, what string) *model.Object {
		return model.NewObject(
			model.Property("Id", model.U64(id)), model.Property("IsEnabled", model.Truth(enabled)),
			model.Property("Type", model.String("BuiltIn")), model.Property("Description", model.String(what)))
	}
	return model.Container(func(_ context.Context, yield func(k, v model.Value) bool) error {
		if yield(model.U64(1), filter(1, false, "C++ standard library and CRT")) {
			yield(model.U64(2), filter(2, true, "Control-flow guard"))
		}
		return nil
	})
}

// utility is Debugger.Utility.
func (h *modelHost) utility() *model.Object {
	return model.NewObject(
		model.Property("Collections", model.NewObject(
			model.Method("FromListEntry", "FromListEntry(ListEntry, [<ModuleName | ModuleObject>], TypeName, FieldExpression) - "+
				"Method which converts a LIST_ENTRY specified by the 'ListEntry' parameter of types whose name is specified by the string 'TypeName' "+
				"and whose embedded links within that type are accessed via an expression specified by the string 'FieldExpression' into a collection "+
				"object.  If an optional module name or object is specified, the type name is looked up in the context of such module", false,
				h.fromListEntry))),
		model.Property("Control", model.NewObject(
			model.Method("ExecuteCommand", "ExecuteCommand(command) - Method which executes a debugger command and returns a collection of strings "+
				"representing the lines of output of the command execution", false, h.executeCommand))),
		model.Property("Objects", model.NewObject(
			model.Method("Aggregate", "Aggregate(Object...) - Method which returns an object with the members of all of its arguments", false, aggregateObjects))),
		model.Property("DbgDocumentation", model.NewObject()),
		model.Property("Events", model.NewObject()),
		model.Property("Extensions", model.NewObject()),
		model.Property("Target", model.NewObject()),
		model.Property("Symbols", model.NewObject()),
		model.Property("MCP", model.NewObject()),
	)
}

// fromListEntry takes (list, type, field) or (list, module, type, field).
func (h *modelHost) fromListEntry(ctx context.Context, args []model.Value) (model.Value, error) {
	if len(args) != 3 && len(args) != 4 {
		return nil, wrongArguments("FromListEntry")
	}
	head, ok := args[0].(model.Native)
	if !ok || !head.Located || head.Type == nil || !head.Type.Kind.IsAggregate() || strings.TrimPrefix(head.Type.Name, "_") != "LIST_ENTRY" {
		return nil, model.Errorf("First argument to 'FromListEntry' must be a LIST_ENTRY object")
	}
	var words []string
	for i, a := range args[1:] {
		word, ok := a.(model.String)
		if !ok && len(args) == 4 && i == 0 {
			if m, isModule := moduleArgument(ctx, h, a); isModule {
				word, ok = model.String(m), true
			}
		}
		if !ok {
			return nil, model.Errorf("Invalid argument passed to method 'FromListEntry'")
		}
		words = append(words, string(word))
	}
	module, typeName, field := "", words[len(words)-2], words[len(words)-1]
	if len(words) == 3 {
		module = words[0]
	} else if m, t, qualified := strings.Cut(typeName, "!"); qualified {
		module, typeName = m, t
	}
	t, ok := h.Type(ctx, module, typeName)
	if !ok {
		return nil, model.Errorf("Unable to find specified type")
	}
	offset, err := fieldOffset(t, field)
	if err != nil {
		return nil, err
	}
	return model.FromListEntry(head, t, offset), nil
}

// moduleArgument returns the name of a module that was given as an object.
func moduleArgument(ctx context.Context, h *modelHost, v model.Value) (string, bool) {
	o, ok := v.(*model.Object)
	if !ok || o.Members == nil {
		return "", false
	}
	for _, m := range o.Members(ctx) {
		if m.Name != "BaseAddress" {
			continue
		}
		if base, err := m.Get(ctx); err == nil {
			if n, ok := model.Integer(base); ok {
				if mod := h.s.moduleSet(ctx).Find(n); mod != nil {
					return mod.Name, true
				}
			}
		}
	}
	return "", false
}

// fieldOffset follows a path of members.
func fieldOffset(t *types.Type, path string) (uint64, error) {
	var offset uint64
	for name := range strings.SplitSeq(path, ".") {
		name = strings.TrimSpace(name)
		if t == nil || !t.Kind.IsAggregate() {
			return 0, model.Errorf("Unable to bind name '%s'", name)
		}
		f := t.Field(name)
		if f == nil {
			return 0, model.Errorf("Unable to bind name '%s'", name)
		}
		offset += f.Offset
		t = f.Type
	}
	return offset, nil
}

// executeCommand runs a command line and returns the lines of its output.
func (h *modelHost) executeCommand(ctx context.Context, args []model.Value) (model.Value, error) {
	if len(args) != 1 {
		return nil, wrongArguments("ExecuteCommand")
	}
	command, ok := args[0].(model.String)
	if !ok {
		return nil, model.Errorf("Invalid argument passed to method 'ExecuteCommand'")
	}
	failed := h.s.interp.failed
	text, err := h.s.capture(func() error { return h.s.runBlock(ctx, string(command)) })
	h.s.interp.failed = failed
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, model.SystemError(model.CommandFailed)
	}
	var lines []model.Value
	for l := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		lines = append(lines, model.String(l))
	}
	if text == "" {
		lines = nil
	}
	return model.List(lines...), nil
}

func aggregateObjects(ctx context.Context, args []model.Value) (model.Value, error) {
	var all []model.Member
	for i, a := range args {
		o, ok := a.(*model.Object)
		if !ok {
			return nil, model.Errorf("Argument number %s must be an object in call to method 'Aggregate'", strconv.Itoa(i+1))
		}
		if o.Members != nil {
			all = append(all, o.Members(ctx)...)
		}
	}
	return model.NewObject(all...), nil
}
