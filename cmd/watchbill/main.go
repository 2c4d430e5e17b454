// Command watchbill is Watchbill's program: the API server, the controller, migrations, reports, the reference
// deployment agent and client commands. Each subcommand has its own file, with flags and wiring only.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // costs are grouped by the days of a time zone, also on machines without zone files

	_ "golang.org/x/crypto/x509roots/fallback" // CAs where the system has none
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}, os.LookupEnv))
}

// run runs the command line until it is done or a signal interrupts it, and returns the exit code.
func run(ctx context.Context, args []string, std stdio, env func(string) (string, bool)) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills the process

	root := newRoot(std, env)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return exitCode(err, std.err)
}
