package command

import (
	"context"
	"slices"

	"kdap/engine/windows"
)

// Which processors belong together.

func topologyCommands() []*Command {
	return []*Command{
		{Names: []string{"!numa"}, Short: "show the NUMA nodes with their processors", Run: runNuma},
		{Names: []string{"!smt"}, Short: "show which processors are of one core", Run: runSmt},
	}
}

// A processorGroup is an owner with the processors that name it.
type processorGroup struct {
	owner uint64
	list  []windows.Processor
}

// groupProcessors puts the processors together that a pointer of their control
// blocks leads to the same from.
func (s *Session) groupProcessors(ctx context.Context, member string) (groups []processorGroup, err error) {
	for p, err := range s.sys.Processors(ctx) {
		if err != nil {
			s.notef("%v", err)
			continue
		}
		owner, err := p.Object().Field(member).Uint()
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(groups, func(g processorGroup) bool { return g.owner == owner })
		if i < 0 {
			i = len(groups)
			groups = append(groups, processorGroup{owner: owner})
		}
		groups[i].list = append(groups[i].list, p)
	}
	return groups, ctx.Err()
}

// mask is the set of processors, those below 64.
func (g processorGroup) mask() (mask uint64) {
	for _, p := range g.list {
		if p.Number() < 64 {
			mask |= 1 << p.Number()
		}
	}
	return mask
}

func runNuma(ctx context.Context, s *Session, _ *Call) error {
	nodes, err := s.groupProcessors(ctx, "ParentNode")
	if err != nil {
		s.notef("%v", err)
		return Failf("Unable to read the nodes of the processors")
	}
	processors := 0
	for _, n := range nodes {
		processors += len(n.list)
	}
	s.printf("NUMA Summary:\n------------\n")
	s.printf("    Number of NUMA nodes : %d\n    Number of Processors : %d\n", len(nodes), processors)
	if n, err := s.sys.GlobalUint("KeNumberNodes", 2); err == nil && n != 0 && int(n) != len(nodes) {
		s.notef("the kernel counts %d nodes: not all have processors that the dump tells of", n)
	}
	for i, n := range nodes {
		number := uint64(i)
		if n.owner == 0 {
			s.notef("the control blocks of the processors name no node")
		} else if v, err := s.sys.Struct("_KNODE", n.owner).Field("NodeNumber").Uint(); err == nil {
			number = v
		}
		s.printf("\n    NODE %d (%016x):\n        ProcessorMask    : %s (%016x)\n", number, n.owner, affinityText(n.mask()), n.mask())
		for _, p := range n.list {
			s.printf("        Processor %d      : %016x\n", p.Number(), p.Addr())
		}
	}
	return nil
}

func runSmt(ctx context.Context, s *Session, _ *Call) error {
	var active, idle uint64
	var list []windows.Processor
	for p, err := range s.sys.Processors(ctx) {
		if err != nil {
			s.notef("%v", err)
			continue
		}
		list = append(list, p)
		if p.Number() >= 64 {
			continue
		}
		active |= 1 << p.Number()
		if p.Idle() {
			idle |= 1 << p.Number()
		}
	}
	s.printf("SMT Summary:\n------------\n\n")
	s.printf("KeActiveProcessors: %s (%016x)\n", affinityText(active), active)
	s.printf("IdleSummary:        %s (%016x)\n\n", affinityText(idle), idle)
	s.printf(" No PRCB             SMT Set                                                                             APIC Id\n")
	for _, p := range list {
		set, err := p.Object().FirstField("MultiThreadProcessorSet", "CoreProcessorSet").Uint()
		if err != nil {
			s.notef("%v", err)
		}
		apic, err := p.Object().Field("InitialApicId").Uint()
		if err != nil {
			s.notef("%v", err)
		}
		s.printf("%3d %016x %s (%016x) 0x%08x\n", p.Number(), p.Addr(), affinityText(set), set, apic)
	}
	return ctx.Err()
}
