package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
)

// followEvery is the interval at which a followed log is read.
const followEvery = time.Second

func logsCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o struct {
		access  access
		follow  bool
		attempt int32
	}
	cmd := &cobra.Command{
		Use:     "logs DEPLOYMENT",
		Aliases: []string{"log"},
		Short:   "Print the log of a deployment",
		Long: `Print the log of one attempt of a deployment, given by the deployment's id.

With -f the command keeps printing until the attempt has finished, and retries if the server is unreachable for a short
while. On a terminal, control characters are replaced; a pipe gets the log unchanged.`,
		Example: "  watchbill logs -f 0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var wrong faults
			wrong.ids("DEPLOYMENT", args...)
			if cmd.Flags().Changed("attempt") {
				wrong.add(o.attempt < 1 || o.attempt > fleet.MaxAttempts, "--attempt", "must be from 1 to %d", fleet.MaxAttempts)
			}
			api := o.access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			c := newConsole(std, env)
			tail := logTail{api: api, deployment: args[0], attempt: o.attempt, out: c.text()}
			return tail.run(cmd.Context(), c, o.follow)
		},
	}
	o.access.bind(cmd.Flags())
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "keep printing until the attempt has finished")
	cmd.Flags().Int32Var(&o.attempt, "attempt", 0, "print the log of the attempt with this `number` (default: the latest that has run)")
	return cmd
}

// logTail reads an attempt's log from its beginning.
type logTail struct {
	api        *client
	deployment string
	attempt    int32 // 0 if not known yet
	offset     int64 // of the next read, in bytes
	out        io.Writer
}

func (l *logTail) run(ctx context.Context, c console, follow bool) error {
	if l.attempt == 0 {
		// Stay with one attempt: the next one has a new log.
		d, err := decoded[openapi.Deployment](read(l.api.GetDeployment(ctx, l.deployment)))
		if err != nil {
			return err
		}
		l.attempt = d.Attempt
		if n := len(d.Attempts); n > 0 {
			l.attempt = d.Attempts[n-1].Attempt
		}
	}
	next := l.next
	if follow {
		next = func(ctx context.Context) (read int, over bool, err error) {
			err = persist(ctx, c.say, func() (err error) {
				read, over, err = l.next(ctx)
				return err
			})
			return read, over, err
		}
	}
	for {
		read, over, err := next(ctx)
		switch {
		case err != nil || over:
			return err
		case read > 0:
		case !follow:
			return nil
		default:
			if err := waitFor(ctx, followEvery); err != nil {
				return err
			}
		}
	}
}

// next writes the next piece of the log. over reports whether the log is complete. After an error, what was written is
// not requested again.
func (l *logTail) next(ctx context.Context) (read int, over bool, err error) {
	resp, err := l.api.ReadDeploymentLog(ctx, l.deployment, &openapi.ReadDeploymentLogParams{Attempt: &l.attempt, Offset: &l.offset})
	if err != nil {
		return 0, false, err
	}
	defer resp.Body.Close()
	end, err := strconv.ParseInt(resp.Header.Get("Watchbill-Next-Offset"), 10, 64)
	if err != nil {
		return 0, false, errors.New("the response is not a Watchbill server's; check --server: it has no Watchbill-Next-Offset")
	}
	n, err := io.Copy(l.out, resp.Body)
	l.offset += n
	if err != nil {
		return int(n), false, fmt.Errorf("read the log: %w", err)
	}
	if end != l.offset {
		return int(n), false, fmt.Errorf("the log continues at %d, but the server reports %d", l.offset, end)
	}
	return int(n), resp.Header.Get("Watchbill-Log-Complete") == strconv.FormatBool(true), nil
}
