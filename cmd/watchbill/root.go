package main

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// stdio are the streams of a command.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// The exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
	exitMissed = 3 // of a report: an objective was missed
)

// exitError carries an exit code. An empty message was said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return fmt.Sprint(e.err) }
func (e *exitError) Unwrap() error { return e.err }

// usageError is the user's fault: exit code 2.
func usageError(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{exitUsage, err}
}

func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	code := exitFailed
	var exit *exitError
	if errors.As(err, &exit) {
		code, err = exit.code, exit.err
	}
	if err != nil {
		complain(stderr, err)
	}
	return code
}

// complain writes an error to stderr, unless nobody takes it there: the program ends nevertheless.
func complain(stderr io.Writer, err error) {
	const patience = 2 * time.Second
	written := make(chan struct{})
	go func() {
		defer close(written)
		for line := range strings.SplitSeq(err.Error(), "\n") {
			_, _ = fmt.Fprintln(stderr, "watchbill:", line) // there is nowhere else to say it
		}
	}()
	select {
	case <-written:
	case <-time.After(patience):
	}
}

func newRoot(std stdio, env func(string) (string, bool)) *cobra.Command {
	root := &cobra.Command{
		Use:           "watchbill",
		Short:         "A control plane for fleets of agents, with its monitoring built in",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return usageError(flagsFromEnvironment(cmd.Flags(), env))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError(fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath()))
	})
	root.AddCommand(
		serveCommand(std),
		controllerCommand(std),
		migrateCommand(std),
		devCommand(std),
		reportCommand(std, env),
		agentCommand(std),
		agentsCommand(std, env),
		deployCommand(std, env),
		deploymentsCommand(std, env),
		logsCommand(std, env),
		executionsCommand(std, env),
		costsCommand(std, env),
		pricesCommand(std, env),
		rulesCommand(std, env),
		versionCommand(std),
	)
	strictArguments(root)
	return root
}

// strictArguments makes wrong arguments a usage error, wherever they are.
func strictArguments(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error { return usageError(check(cmd, args)) }
	}
	for _, sub := range cmd.Commands() {
		strictArguments(sub)
	}
}

// shortNames are the variables that users know; every other flag's is WATCHBILL_ and its name.
var shortNames = map[string]string{
	"database-url":     "DATABASE_URL",
	"admin-token":      "ADMIN_TOKEN",
	"enrollment-token": "ENROLLMENT_TOKEN",
	"ingest-token":     "INGEST_TOKEN",
}

func variable(flag string) string {
	if name, ok := shortNames[flag]; ok {
		return name
	}
	return "WATCHBILL_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// flagsFromEnvironment sets the flags that were not given from their variables, and names every one that cannot be.
func flagsFromEnvironment(flags *pflag.FlagSet, env func(string) (string, bool)) error {
	var faults []error
	flags.VisitAll(func(f *pflag.Flag) {
		value, ok := env(variable(f.Name))
		if f.Changed || !ok || value == "" || f.Name == "help" {
			return
		}
		values := []string{value}
		if f.Value.Type() == "stringArray" {
			values = strings.FieldsFunc(value, func(r rune) bool { return r == '\n' })
		}
		for _, one := range values {
			if err := flags.Set(f.Name, one); err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", variable(f.Name), err))
			}
		}
	})
	return errors.Join(faults...)
}

func versionCommand(std stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(std.out, "watchbill", buildVersion())
			return err
		},
	}
}

// buildVersion is the linker's, or what the Go toolchain recorded.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
