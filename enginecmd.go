package main

import (
	"fmt"
	"net"
	"os"

	"github.com/spf13/cobra"

	"kdap/engine/rpc"
)

func engineCommand() *cobra.Command {
	var open openFlags
	var listen rpc.Listen
	var tokenFile string
	c := &cobra.Command{
		Use:   "engine [DUMP]",
		Short: "serve the engine to adapters and programs (JSON-RPC 2.0)",
		Long: "Serves the engine on standard input and output, or on a port; docs/engine-protocol.md describes the protocol.\n" +
			"A dump named here is opened at once and stays open for all clients.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if tokenFile != "" {
				var err error
				if listen.Token, err = rpc.ReadToken(tokenFile); err != nil {
					return usageError{fmt.Errorf("--token-file: %w", err)}
				}
			}
			if listen.Addr != "" {
				if err := listen.Check(); err != nil {
					return usageError{fmt.Errorf("--listen: %w", err)}
				}
			}
			e := rpc.NewEngine(version)
			if len(args) == 1 {
				progress := newProgress(os.Stderr)
				err := e.Pin(c.Context(), rpc.OpenParams{
					Path: args[0], SymbolPath: open.symbols, ImagePath: open.images, CacheDir: open.cache,
				}, progress.update)
				progress.done()
				if err != nil {
					return statusError{exitNoDump, err}
				}
			}
			if listen.Addr == "" {
				e.Serve(c.Context(), rpc.Stdio(), os.Stderr)
				return nil
			}
			err := e.ListenAndServe(c.Context(), listen, os.Stderr, func(a net.Addr) {
				fmt.Fprintf(os.Stderr, "kdap: engine at %s\n", a)
			})
			if err != nil {
				return statusError{exitFailed, err}
			}
			return nil
		},
	}
	open.add(c)
	c.Flags().StringVar(&listen.Addr, "listen", "", "address to serve clients on, instead of standard input and output")
	c.Flags().StringVar(&listen.TLSCert, "tls-cert", "", "certificate (PEM); needed for addresses that other machines can reach")
	c.Flags().StringVar(&listen.TLSKey, "tls-key", "", "its key (PEM)")
	c.Flags().StringVar(&tokenFile, "token-file", "", "file with a token that clients must know")
	return c
}
