package adapter

import (
	"fmt"
	"time"

	"github.com/google/go-dap"

	"kdap/engine/rpc"
	"kdap/session"
)

func onModules(a *Adapter, c *call, args dap.ModulesArguments) (any, error) {
	s, err := a.need(c)
	if err != nil {
		return nil, err
	}
	mods, err := s.Modules(c.ctx)
	if err != nil {
		return nil, err
	}
	from := min(max(args.StartModule, 0), len(mods))
	to := len(mods)
	if args.ModuleCount > 0 {
		to = min(to, from+args.ModuleCount)
	}
	b := dap.ModulesResponseBody{Modules: []dap.Module{}, TotalModules: len(mods)}
	for _, m := range mods[from:to] {
		b.Modules = append(b.Modules, module(m))
	}
	return b, nil
}

func module(m rpc.Module) dap.Module {
	out := dap.Module{
		Id: m.Base.String(), Name: session.Visible(m.Name), Path: session.Visible(m.Path), IsUserCode: m.User,
		SymbolStatus: m.State, SymbolFilePath: m.SymbolFile,
		AddressRange: fmt.Sprintf("%#x-%#x", uint64(m.Base), uint64(m.Base)+m.Size),
	}
	if m.Timestamp != nil {
		out.DateTimeStamp = time.Unix(int64(*m.Timestamp), 0).UTC().Format("2006-01-02 15:04:05") + fmt.Sprintf(" (%08x)", *m.Timestamp)
	}
	return out
}
