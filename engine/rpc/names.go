package rpc

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/symbols"
	"kdap/engine/windows"
)

// maxNames bounds one request for names.
const maxNames = 10000

func onSymbolsAt(_ *client, ctx context.Context, t *target, p SymbolsAtParams) (any, error) {
	if len(p.Addresses) > maxNames {
		return nil, fmt.Errorf("%d addresses: at most %d are named at once", len(p.Addresses), maxNames)
	}
	sp, err := t.space(ctx, p.Process)
	if err != nil {
		return nil, err
	}
	r := SymbolsAtResult{Names: make([]string, len(p.Addresses))}
	for i, a := range p.Addresses {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r.Names[i] = sp.name(ctx, uint64(a))
	}
	return r, nil
}

func onSymbolsFind(_ *client, ctx context.Context, t *target, p SymbolsFindParams) (any, error) {
	sp, err := t.space(ctx, p.Process)
	if err != nil {
		return nil, err
	}
	r := SymbolsFindResult{Symbols: []NamedAddress{}}
	module, name, qualified := strings.Cut(p.Name, "!")
	if !qualified {
		module, name = "", p.Name
	}
	for _, m := range sp.modules.All() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if qualified && !strings.EqualFold(m.Name, module) {
			continue
		}
		if !qualified && m.SymbolState() == "deferred" && m != t.System.Nt() {
			continue // a name alone loads no symbols, as in the console
		}
		if sym, ok := m.Symbols(ctx).Lookup(name); ok {
			r.Symbols = append(r.Symbols, named(m, sym))
		}
	}
	return r, nil
}

func named(m *windows.Module, sym symbols.Symbol) NamedAddress {
	n := NamedAddress{Name: m.Name + "!" + sym.Name, Address: Hex(m.Base + uint64(sym.RVA))}
	if t := sym.Type(); t != nil {
		n.Type = expr.TypeName(t)
	}
	return n
}

// maxFiles bounds the list of source files.
const maxFiles = 20000

func onSourceFiles(_ *client, ctx context.Context, t *target, p PlaceParams) (any, error) {
	sp, err := t.space(ctx, p.Process)
	if err != nil {
		return nil, err
	}
	r := FilesResult{Files: []string{}}
	seen := map[string]bool{}
	for _, m := range sp.modules.All() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if m.SymbolState() != "pdb" || !m.Symbols(ctx).HasLines() {
			continue
		}
		for _, f := range m.Symbols(ctx).PDB().Files() {
			if len(r.Files) == maxFiles {
				r.More = true
				return r, nil
			}
			if !seen[f] {
				seen[f] = true
				r.Files = append(r.Files, f)
			}
		}
	}
	return r, nil
}
