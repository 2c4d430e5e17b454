// Command watchbill is the whole product: API server, migrations, reports, the reference agent, and the daily verbs.
// Each file is a subcommand: flags and wiring only.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // costs are told by the days of a time zone, on machines that have no zones too

	_ "golang.org/x/crypto/x509roots/fallback" // webhooks and stores are trusted by these where a machine, such as our image, has none
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}, os.LookupEnv))
}

// run runs the command line until it is done or a signal asks it to stop, and returns the exit code.
func run(ctx context.Context, args []string, std stdio, env func(string) (string, bool)) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills

	root := newRoot(std, env)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return exitCode(err, std.err)
}
