// Command bench measures the released program together with the baseline of each figure: both in the same run, on the
// same machine, in turns. docs/benchmarks.md explains how each figure is measured.
//
//	go run ./test/bench                     all of it
//	go run ./test/bench -quick -run polls   less, in small
//	go run ./test/bench load -url …         a load on whatever server
//
// The figures are the last lines of the standard output, as name, value and unit. Everything else goes to the standard
// error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

// scenario measures figures that belong together.
type scenario struct {
	name string
	run  func(ctx context.Context, b *bench) ([]figure, error)
}

var scenarios = []scenario{
	{"startup", startup},
	{"polls", idlePolls},
	{"before", besideBaseline},
	{"recorder", recorderOverhead},
	{"fleet", fleetUnderLoad},
	{"cycles", deployCycles},
	{"growth", pollGrowth},
	{"million", millionAgents},
	{"ingest", ingest},
	{"storing", ingestCPU},
	{"gateway", gatewayOverhead},
	{"executions", pasts},
	{"controller", controllerReports},
	{"page", page},
}

// bench is the state shared by scenarios.
type bench struct {
	quick  bool
	dir    string // for all files of a run
	binary string // watchbill
}

func (b *bench) logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// or returns one value for a whole run and another for a quick one.
func or[T any](b *bench, whole, quick T) T {
	if b.quick {
		return quick
	}
	return whole
}

func main() {
	if err := command(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func command(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) > 0 && args[0] == "load" {
		return load(ctx, args[1:])
	}
	return run(ctx, args)
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "small loads and data, to see that it works")
	only := flags.String("run", ".", "scenarios to run, a `regexp`")
	list := flags.Bool("list", false, "name the scenarios")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	if *list {
		for _, s := range scenarios {
			fmt.Println(s.name)
		}
		return nil
	}
	chosen := slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return !wanted.MatchString(s.name) })
	if len(chosen) == 0 {
		return fmt.Errorf("no scenario is named like %q; -list names them", *only)
	}
	b := &bench{quick: *quick}
	if b.dir, err = os.MkdirTemp("", "watchbill-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := os.Chmod(b.dir, 0o755); err != nil { // PostgreSQL runs as another user
		return err
	}
	if b.binary, err = rig.Build(ctx, b.dir, "./cmd/watchbill"); err != nil {
		return err
	}
	var figures []figure
	var failed []error
	for _, s := range chosen {
		began := time.Now()
		b.logf("%s …", s.name)
		found, err := s.run(ctx, b)
		if ctx.Err() != nil { // an interrupted load looks like a complete one
			failed = append(failed, fmt.Errorf("%s was interrupted", s.name))
			break
		}
		if err != nil { // the figures of the other scenarios are valid
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
		}
		b.logf("%s: %.0f s", s.name, time.Since(began).Seconds())
		figures = append(figures, found...)
	}
	return errors.Join(append(failed, report(figures))...)
}

// report prints the figures. It returns an error if an exact target was missed.
func report(figures []figure) error {
	if err := printTable(os.Stderr, figures); err != nil {
		return err
	}
	return errors.Join(printLines(os.Stdout, figures), missed(figures))
}

// missed returns an error if a figure misses a target that noise does not affect.
func missed(figures []figure) error {
	var missed []error
	for _, f := range figures {
		if f.aim.symbol == "=" && !f.met() {
			missed = append(missed, fmt.Errorf("%s is %s, not %s", f.name, number(f.value), number(f.aim.bound)))
		}
	}
	return errors.Join(missed...)
}

// installation is a PostgreSQL and a Watchbill server.
type installation struct {
	postgres *rig.Postgres
	url      string // of the database
	server   *rig.Server
	dir      string
}

// install starts an installation with enrolled agents. The caller must close it.
func (b *bench) install(ctx context.Context, name string, agents int) (_ *installation, err error) {
	i := &installation{dir: filepath.Join(b.dir, name)}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.close())
		}
	}()
	if err := os.MkdirAll(i.dir, 0o755); err != nil {
		return nil, err
	}
	// PostgreSQL's defaults are for small machines.
	settings := map[string]string{"shared_buffers": "512MB", "max_wal_size": "4GB"}
	if i.postgres, err = rig.StartPostgres(ctx, rig.PostgresOptions{Dir: filepath.Join(i.dir, "postgres"), Settings: settings}); err != nil {
		return nil, err
	}
	if i.url, err = i.postgres.CreateDatabase(ctx, "watchbill"); err != nil {
		return nil, err
	}
	if err := b.migrate(ctx, i); err != nil {
		return nil, err
	}
	if err := rig.SeedAgents(ctx, i.url, 0, agents); err != nil {
		return nil, err
	}
	return i, i.serve(ctx, b)
}

func (b *bench) migrate(ctx context.Context, i *installation) error {
	p, err := rig.Start(ctx, rig.Command{
		Path: b.binary, Args: []string{"migrate"}, Env: []string{"DATABASE_URL=" + i.url}, Dir: i.dir, Log: filepath.Join(i.dir, "migrate.log"),
	})
	if err != nil {
		return err
	}
	return errors.Join(p.Wait(ctx), p.Close())
}

// serve starts the server, or restarts it.
func (i *installation) serve(ctx context.Context, b *bench, args ...string) (err error) {
	if i.server != nil {
		if err := i.server.Close(); err != nil {
			return err
		}
	}
	i.server, err = rig.Serve(ctx, rig.ServeOptions{Binary: b.binary, DatabaseURL: i.url, Dir: i.dir, Args: args})
	return err
}

func (i *installation) close() error {
	var err error
	if i.server != nil {
		err = i.server.Close()
	}
	if i.postgres != nil {
		err = errors.Join(err, i.postgres.Close())
	}
	return errors.Join(err, os.RemoveAll(i.dir))
}
