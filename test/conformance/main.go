// Command conformance checks that Watchbill records what real libraries did. Each case installs libraries of exact
// versions, outside the tree, and runs a small program that calls a mock of the providers' APIs. The program exports
// its spans with OpenTelemetry's SDK to `watchbill serve`, and what was recorded is compared with what the mock
// counted.
//
//	go run ./test/conformance                       every case; renews the table in docs/opentelemetry.md
//	go run ./test/conformance -run openai           those whose names match
//	go run ./test/conformance -run NAME -record DIR also writes what was exported, with the truth, to DIR/NAME.json
//	go run ./test/conformance -lock NAME            reinstalls a case and pins all that came with it
//
// docs/conformance.md says how to add a case.
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
	"syscall"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

func main() {
	if err := command(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

type options struct {
	wanted *regexp.Regexp
	record string // a folder; empty to record nothing
	lock   bool
	list   bool
	keep   bool   // do not change the table
	binary string // built if empty
}

func command(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	only := flags.String("run", ".", "cases to run, a `regexp`")
	var o options
	flags.StringVar(&o.record, "record", "", "also write the exports and the truth of each case to a file in this `folder`")
	flags.BoolVar(&o.lock, "lock", false, "reinstall and write the versions of everything installed with the pinned libraries")
	flags.BoolVar(&o.list, "list", false, "name the cases")
	flags.BoolVar(&o.keep, "keep-table", false, "leave the table in the docs as it is")
	flags.StringVar(&o.binary, "binary", "", "a `program` to check instead of the one of this tree")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	if o.wanted, err = regexp.Compile(*only); err != nil {
		return err
	}
	cases, err := loadCases(caseFolder)
	if err != nil {
		return err
	}
	var chosen []*libraryCase
	for _, c := range cases {
		if o.wanted.MatchString(c.Name) {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("no case is named like %q; -list names them", *only)
	}
	if o.list {
		for _, c := range chosen {
			fmt.Println(c.Name)
		}
		return nil
	}
	return run(ctx, chosen, o)
}

// run tries the cases against one server.
func run(ctx context.Context, cases []*libraryCase, o options) (err error) {
	dir, err := os.MkdirTemp("", "watchbill-conformance-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL runs as another user
		return err
	}
	binary := o.binary
	if binary == "" {
		if binary, err = rig.Build(ctx, dir, "./cmd/watchbill"); err != nil {
			return err
		}
	}
	postgres, err := rig.StartPostgres(ctx, rig.PostgresOptions{Dir: filepath.Join(dir, "postgres"), Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, postgres.Close()) }()
	database, err := postgres.CreateDatabase(ctx, "conformance")
	if err != nil {
		return err
	}
	server, err := rig.Serve(ctx, rig.ServeOptions{Binary: binary, DatabaseURL: database, Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	lab, err := newLab(ctx, server.URL, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()

	var failed []error
	var results []result
	for _, c := range cases {
		began := time.Now()
		r, err := lab.try(ctx, c, o)
		if ctx.Err() != nil {
			return errors.Join(append(failed, fmt.Errorf("%s was interrupted", c.Name))...)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", c.Name, err))
		}
		logf("%s: %s, %.0f s", c.Name, r.verdict(err), time.Since(began).Seconds())
		if r != nil {
			results = append(results, *r)
		}
	}
	if !o.keep {
		failed = append(failed, renewTable(results))
	}
	right, wrong := 0, 0
	for _, r := range results {
		for _, s := range r.scenarios {
			if len(s.faults) == 0 {
				right++
			} else {
				wrong++
			}
		}
	}
	fmt.Printf("conformance_libraries %d count\nconformance_scenarios %d count\nconformance_wrong %d count\n", len(results), right+wrong, wrong)
	return errors.Join(failed...)
}
