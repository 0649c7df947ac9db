package command

import (
	"context"
	"strings"

	"kdap/engine/windows/machine"
	"kdap/engine/windows/registry"
)

func mexRegistryCommands() []*Command {
	return []*Command{
		{Names: []string{"!mreg", "!mex.mreg"}, Args: "-p Path", Short: "a key by its path: sub keys and values", Run: runMexReg},
		{Names: []string{"!svcreg", "!mex.svcreg"}, Args: "Service", Short: "the key of a service or driver", Run: runMexServiceKey},
	}
}

func runMexReg(ctx context.Context, s *Session, c *Call) error {
	if letters, ok := c.Option(); ok && !strings.EqualFold(letters, "p") {
		return Failf("usage: !mreg -p Path")
	}
	path := strings.Trim(c.restOfCall(), `"`)
	if path == "" {
		return Failf("usage: !mreg -p Path")
	}
	r, err := s.openRegistry(ctx)
	if err != nil {
		return err
	}
	return s.queryKey(ctx, r, registry.CleanPath(path))
}

func runMexServiceKey(ctx context.Context, s *Session, c *Call) error {
	name := strings.Trim(c.restOfCall(), `"`)
	if name == "" {
		return Failf("usage: !svcreg Service")
	}
	r, err := s.openRegistry(ctx)
	if err != nil {
		return err
	}
	return s.queryKey(ctx, r, machine.ControlSet(ctx, r)+`\Services\`+name)
}
