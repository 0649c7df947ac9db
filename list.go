package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kdap/engine/list"
)

func listCommand() *cobra.Command {
	var open openFlags
	var format string
	var pids []uint
	var filter list.Filter
	var kinds []string
	var help strings.Builder
	help.WriteString("List what a dump holds, as values for programs and people.\n\nKinds:\n")
	for _, k := range list.Kinds() {
		kinds = append(kinds, k.Name)
		fmt.Fprintf(&help, "  %-11s %s\n", k.Name, k.Short)
	}
	c := &cobra.Command{
		Use:       "list KIND DUMP",
		Short:     "list processes, threads, stacks, modules … as a table, JSON or CSV",
		Long:      help.String(),
		Args:      cobra.ExactArgs(2),
		ValidArgs: kinds,
		RunE: func(c *cobra.Command, args []string) error {
			k, ok := list.KindNamed(args[0])
			if !ok {
				return usageError{fmt.Errorf("unknown kind %q: one of %s", args[0], strings.Join(kinds, ", "))}
			}
			if !slices.Contains(list.Formats, format) {
				return usageError{fmt.Errorf("unknown format %q: one of %s", format, strings.Join(list.Formats, ", "))}
			}
			for _, p := range pids {
				filter.PIDs = append(filter.PIDs, uint64(p))
			}
			if err := filter.Check(); err != nil {
				return usageError{fmt.Errorf("--name: %w", err)}
			}
			if k.Name == "registry" && filter.Key == "" {
				return usageError{errors.New(`registry: --key PATH says which key, for example --key '\REGISTRY\MACHINE\SOFTWARE'`)}
			}
			t, err := open.open(c.Context(), args[1])
			if err != nil {
				return err
			}
			defer t.Close()
			errs, err := list.Write(c.Context(), os.Stdout, format, k, t.System, filter)
			if err != nil {
				return statusError{exitFailed, err}
			}
			for _, e := range errs {
				fmt.Fprintf(os.Stderr, "kdap: %s: %s\n", e.Where, e.Why)
			}
			if len(errs) > 0 {
				return statusError{code: exitFailed}
			}
			return nil
		},
	}
	open.add(c)
	c.Flags().StringVarP(&format, "output", "o", "table", "form: "+strings.Join(list.Formats, ", "))
	c.Flags().UintSliceVar(&pids, "pid", nil, "only these process ids")
	c.Flags().StringVar(&filter.Name, "name", "", "only processes whose image name matches this pattern")
	c.Flags().StringVar(&filter.Key, "key", "", `the registry key of the kind registry: \REGISTRY\MACHINE\SOFTWARE, HKLM\SYSTEM …`)
	return c
}
