// Command chaos injects faults into the service and measures their effect on its clients: whether anything acknowledged
// was lost, stored or run twice, or not delivered, and how long recovery took. All components are real: `watchbill
// serve`, PostgreSQL, the agents, the signals.
//
//	go run ./test/chaos [-quick] [-run REGEXP] [-seed N] [-soak 10m]
//
// The figures go to stdout as lines of name, value and unit, everything else to stderr. The command fails if a figure
// that must be 0 is not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

const quit = syscall.SIGQUIT

func main() {
	err := untilInterrupted()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func untilInterrupted() error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

// theFolder is the environment variable with the working folder for the program when it runs again in separate
// namespaces.
const theFolder = "WATCHBILL_CHAOS_FOLDER"

// apart runs this program again, if permitted, with separate mount and network namespaces, so that its mounts and
// dropped packets do not affect others and disappear with it. It returns if that is not permitted.
func apart(folder string) error {
	unshare, _ := exec.LookPath("unshare") // empty if not found
	self, err := os.Executable()
	if os.Geteuid() != 0 || unshare == "" {
		return err
	}
	const upAndRun = `ip link set lo up && exec "$0" "$@"`
	args := append([]string{unshare, "--mount", "--net", "--propagation", "private", "sh", "-c", upAndRun, self}, os.Args[1:]...)
	return syscall.Exec(unshare, args, append(os.Environ(), theFolder+"="+folder))
}

var errNotClean = errors.New("what must be 0 is not")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	began := time.Now()
	c := &chaos{logf: func(format string, args ...any) {
		fmt.Fprintf(stderr, "%7.1f "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...) //nolint:errcheck // progress
	}}
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&c.quick, "quick", false, "only some faults, with few repetitions")
	flags.Uint64Var(&c.seed, "seed", uint64(began.UnixNano())%1_000_000, "of the schedule; the same one gives the same")
	flags.DurationVar(&c.soakFor, "soak", 10*time.Minute, "how long the soak takes")
	flags.StringVar(&c.programs, "postgres", "", "the `folder` of PostgreSQL's programs, for the restores")
	only := flags.String("run", "", "only faults whose names match")
	list := flags.Bool("list", false, "list the faults")
	keep := flags.Bool("keep", false, "keep the folder with the logs")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*only, c.quick)
	if err != nil {
		return err
	}
	if *list {
		for _, f := range chosen {
			if _, err := fmt.Fprintf(stdout, "%-20s %s\n", f.name, f.what); err != nil {
				return err
			}
		}
		return nil
	}
	if c.dir = os.Getenv(theFolder); c.dir == "" {
		if err := c.build(ctx); err != nil { // the namespaces have no access to module downloads
			return err
		}
		if err := apart(c.dir); err != nil {
			return err
		}
	}
	c.binary = filepath.Join(c.dir, "watchbill")
	defer func() {
		if *keep && c.postgres != nil {
			err = errors.Join(err, c.postgres.Stop(context.WithoutCancel(ctx)))
		}
		if *keep {
			c.logf("logs are in %s", c.dir)
			return
		}
		if c.postgres != nil {
			err = errors.Join(err, c.postgres.Close())
		}
		err = errors.Join(err, os.RemoveAll(c.dir))
	}()
	c.logf("seed %d", c.seed)
	return c.tryAll(ctx, chosen, stdout)
}

// build creates the working folder with the product's program and, unless quick, that of the baseline version.
func (c *chaos) build(ctx context.Context) (err error) {
	if c.dir, err = os.MkdirTemp("", "watchbill-chaos-"); err != nil {
		return err
	}
	if err := os.Chmod(c.dir, 0o755); err != nil { // PostgreSQL runs as another user
		return err
	}
	if _, err := rig.Build(ctx, c.dir, "./cmd/watchbill"); err != nil || c.quick {
		return err
	}
	_, err = rig.BuildBaseline(ctx, c.dir)
	return err
}

func choose(pattern string, quick bool) (chosen []experiment, err error) {
	matches, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	for _, f := range faults {
		if matches.MatchString(f.name) && (!quick || f.quick || pattern != "") {
			chosen = append(chosen, f)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("no fault's name matches")
	}
	return chosen, nil
}

func (c *chaos) tryAll(ctx context.Context, chosen []experiment, stdout io.Writer) error {
	var all []figure
	var failed error
	for _, f := range chosen {
		c.logf("%s: %s", f.name, f.what)
		found, err := c.try(ctx, f)
		all = append(all, found...)
		switch {
		case errors.Is(err, rig.ErrNoMounts), errors.Is(err, rig.ErrNoFirewall), errors.Is(err, rig.ErrNoWebProxy):
			c.logf("%s: left out: %v", f.name, err)
		case err != nil:
			c.logf("%s: %v", f.name, err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", f.name, err))
		}
		if ctx.Err() != nil {
			return errors.Join(failed, ctx.Err())
		}
	}
	clean, err := printFigures(stdout, all)
	if !clean {
		err = errors.Join(err, errNotClean)
	}
	return errors.Join(failed, err)
}
