package rpc

import (
	"context"
	"errors"
	"strings"

	"kdap/engine/command"
	"kdap/engine/expr"
	"kdap/engine/inspect"
	"kdap/engine/model"
	"kdap/engine/types"
)

func onEvaluate(c *client, ctx context.Context, t *target, p EvaluateParams) (any, error) {
	s := c.session(p.Session)
	if s == nil {
		return nil, errNoSession(p.Session)
	}
	from := &origin{s, p.Thread, p.Frame}
	cons, err := from.console(ctx, t)
	if err != nil {
		return nil, err
	}
	sp := space{cons.Space(), cons.Modules(ctx), Hex(cons.Focus().Process.Addr())}
	m := cons.Model(ctx)
	text := strings.TrimSpace(p.Expression)
	val, format, err := evaluate(ctx, cons, m, text)
	if err != nil {
		return nil, err
	}
	expression := m.WithoutFormat(ctx, text)
	if _, native := val.(model.Native); native {
		// C++ values need the session no more: they can be opened beside it.
		return c.value(ctx, t.viewer(sp).Formatted(ctx, text, expression, val, format), &where{space: sp}, line{})
	}
	v := inspect.Viewer{Machine: m, Kernel: t.System.Type}
	return c.value(ctx, v.Formatted(ctx, text, expression, val, format), &where{sp, from}, line{})
}

// evaluate computes an expression: one of dx, whose language is C++ with the
// debugger's objects; what only the command ?? takes; or one of MASM. A single
// word, which MASM could take for a number, is a symbol or register at most. The
// error is dx's. Pseudo-registers that are addresses to dx are typed pointers to ??.
func evaluate(ctx context.Context, cons *command.Session, m *model.Machine, text string) (model.Value, model.Spec, error) {
	val, format, err := m.Evaluate(ctx, text)
	typeless := err == nil && strings.HasPrefix(text, "@$") && !model.HasParts(val)
	if err == nil && !typeless || ctx.Err() != nil {
		return val, format, err
	}
	env := cons.Env(ctx)
	cur := expr.NewCursor(text)
	if v, cerr := expr.Cpp(env, cur); cerr == nil && cur.Extra() == nil {
		if c := fromCpp(cons, v); !typeless || model.HasParts(c) {
			return c, model.Spec{}, nil
		}
	}
	if typeless {
		return val, format, nil
	}
	var untyped *model.UntypedError
	switch {
	case errors.As(err, &untyped) && isWord(strings.Replace(text, "!", "_", 1)):
		// The name of code or data of which only the place is known.
		return model.NativeValue(cons.Space(), model.PointerTo(model.Basic("void")), untyped.Addr), model.Spec{}, nil
	case isWord(text):
		if val, _, rerr := m.Evaluate(ctx, "@"+text); rerr == nil {
			return val, model.Spec{}, nil // a register in a disassembly
		}
		return nil, format, err
	}
	cur = expr.NewCursor(text)
	if v, merr := expr.Masm(env, cur); merr == nil && cur.Extra() == nil {
		return model.U64(v), model.Spec{}, nil
	}
	return nil, format, err
}

func fromCpp(cons *command.Session, v expr.Value) model.Value {
	switch {
	case v.Type == nil:
		return model.U64(v.Bits)
	case v.Located, v.Type.Kind == types.Function:
		return model.NativeAt(cons.Space(), v.Type, v.Addr)
	}
	return model.NativeValue(cons.Space(), v.Type, v.Bits)
}

func isWord(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}
