package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/spf13/cobra"

	"kdap/adapter"
	"kdap/engine/rpc"
)

func dapCommand() *cobra.Command {
	var listen, trace string
	c := &cobra.Command{
		Use:   "dap",
		Short: "serve an editor through the Debug Adapter Protocol",
		Long: "Serves a client of the Debug Adapter Protocol on standard input and output, or clients on a loopback port.\n" +
			"Each client gets an engine process of its own: a dump that breaks it does not end the session.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return statusError{exitFailed, err}
			}
			o := adapter.Options{Engine: []string{self, "engine"}, Log: os.Stderr}
			if trace != "" {
				f, err := os.OpenFile(trace, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
				if err != nil {
					return usageError{fmt.Errorf("--trace: %w", err)}
				}
				defer f.Close()
				o.Trace = f
			}
			if listen != "" {
				return listenDAP(c.Context(), listen, o)
			}
			if err := adapter.Serve(c.Context(), os.Stdin, os.Stdout, o); err != nil {
				return statusError{exitFailed, err}
			}
			return nil
		},
	}
	c.Flags().StringVar(&listen, "listen", "", "loopback address to serve clients on, instead of standard input and output")
	c.Flags().StringVar(&trace, "trace", "", "file that gets a line for every request, with how long it took")
	return c
}

func listenDAP(ctx context.Context, addr string, o adapter.Options) error {
	if err := rpc.CheckLoopback(addr); err != nil {
		return usageError{fmt.Errorf("--listen: %s is no loopback address, and only those are served", addr)}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return statusError{exitFailed, err}
	}
	fmt.Fprintf(os.Stderr, "kdap: debug adapter at %s\n", l.Addr())
	go func() {
		<-ctx.Done()
		l.Close()
	}()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return statusError{exitFailed, err}
		}
		go func() {
			defer conn.Close()
			if err := adapter.Serve(ctx, conn, conn, o); err != nil && err != io.EOF {
				fmt.Fprintln(os.Stderr, "kdap:", err)
			}
		}()
	}
}
