package rpc

import (
	"context"

	"kdap/engine/list"
	"kdap/engine/symbols"
	"kdap/engine/windows"
)

// ModulesResult answers "modules": the kernel's modules and those of a process.
type ModulesResult struct {
	Modules []Module `json:"modules"`
	Errors  []string `json:"errors,omitempty"`
}

// A Module is a module with the state of its symbols.
type Module struct {
	list.Module
	User       bool   `json:"user,omitempty"`
	State      string `json:"state"` // in lm's words: "deferred", "pdb symbols" …
	SymbolFile string `json:"symbolFile,omitempty"`
}

// ProcessParams name a process; 0x0 for none.
type ProcessParams struct {
	Process Hex `json:"process"`
}

func onModules(_ *client, ctx context.Context, t *target, p ProcessParams) (any, error) {
	r := ModulesResult{Modules: []Module{}}
	sp, err := t.space(ctx, p.Process)
	if err != nil {
		// The kernel's modules are there without the process.
		r.Errors = append(r.Errors, err.Error())
		if sp, err = t.space(ctx, 0); err != nil {
			return nil, err
		}
	}
	for _, m := range sp.modules.All() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r.Modules = append(r.Modules, describeModule(ctx, m))
	}
	for _, err := range sp.modules.Errs() {
		r.Errors = append(r.Errors, err.Error())
	}
	return r, nil
}

func describeModule(ctx context.Context, m *windows.Module) Module {
	v := Module{Module: list.NewModule(ctx, m), User: m.User, State: "deferred"}
	if m.SymbolState() == "deferred" {
		return v
	}
	t := m.Symbols(ctx)
	v.SymbolFile = t.File
	switch t.Rank {
	case symbols.PrivatePDB:
		v.State = "private pdb symbols"
	case symbols.PublicPDB:
		v.State = "pdb symbols"
	case symbols.ISFSymbols:
		v.State = "ISF table"
	case symbols.ExportSymbols:
		v.State = "export symbols"
	default:
		v.State = "no symbols"
	}
	return v
}
