package main

import (
	"errors"
	"fmt"
	"io"
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

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
	exitMissed = 3 // a report's objective was missed
)

// exitError is an error with an exit code. err is nil if the message was already written.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return fmt.Sprint(e.err) }
func (e *exitError) Unwrap() error { return e.err }

// usageError returns err with exit code 2, for a wrong command line. It returns nil if err is nil.
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

// complain writes an error to stderr. It stops waiting if stderr blocks, so that the program ends anyway.
func complain(stderr io.Writer, err error) {
	const patience = 2 * time.Second
	written := make(chan struct{})
	go func() {
		defer close(written)
		for line := range strings.SplitSeq(err.Error(), "\n") {
			_, _ = fmt.Fprintln(stderr, "watchbill:", line) // no way to report it
		}
	}()
	select {
	case <-written:
	case <-time.After(patience):
	}
}

func newRoot(std stdio, env func(string) (string, bool)) *cobra.Command {
	var wantsVersion bool
	root := &cobra.Command{
		Use:   "watchbill",
		Short: "A control plane for fleets of agents, with its monitoring built in",
		Long: `Watchbill deploys to fleets of agents, records what AI agents do and cost, and reports on both.

To try it on this machine: watchbill dev. It prints the URL and the tokens that the other commands need; they find them in
WATCHBILL_SERVER and ADMIN_TOKEN.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if wantsVersion {
				return nil
			}
			return cobra.NoArgs(cmd, args)
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return usageError(flagsFromEnvironment(cmd.Flags(), env))
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if wantsVersion {
				return printVersion(std.out)
			}
			return cmd.Help()
		},
	}
	// A version or usage template would link text/template, which keeps all methods of all types.
	root.Flags().BoolVarP(&wantsVersion, "version", "v", false, "version for watchbill")
	root.SetUsageFunc(withFooter(root.UsageFunc()))
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommandGroupID(offline)
	addGroup(root, "Use a server:",
		agentsCommand(std, env),
		deployCommand(std, env),
		deploymentsCommand(std, env),
		logsCommand(std, env),
		executionsCommand(std, env),
		costsCommand(std, env),
		reportCommand(std, env),
		alertsCommand(std, env),
		replicasCommand(std, env),
	)
	addGroup(root, "Run Watchbill:",
		devCommand(std),
		serveCommand(std),
		migrateCommand(std),
		controllerCommand(std),
		agentCommand(std),
	)
	addGroup(root, offline,
		pricesCommand(std, env),
		rulesCommand(std, env),
		versionCommand(std),
	)
	strictArguments(root)
	tidyFlags(root)
	return root
}

// offline is the title of the commands that need no server.
const offline = "Work without a server:"

// usageFooter ends the help of every command with its own flags.
const usageFooter = `
Every flag can also be set by an environment variable: --some-flag by WATCHBILL_SOME_FLAG.
`

// withFooter returns a usage function that writes what usage does, and then the footer.
func withFooter(usage func(*cobra.Command) error) func(*cobra.Command) error {
	return func(cmd *cobra.Command) error {
		if err := usage(cmd); err != nil || !cmd.HasParent() || cmd.HasAvailableSubCommands() {
			return err
		}
		_, err := io.WriteString(cmd.OutOrStderr(), usageFooter)
		return err
	}
}

// addGroup adds commands that the help lists under their own title.
func addGroup(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, cmd := range commands {
		cmd.GroupID = title
	}
	root.AddCommand(commands...)
}

// strictArguments turns wrong arguments of every command into usage errors that name the next step.
func strictArguments(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if check(cmd, args) == nil {
				return nil
			}
			return usageError(argumentError(cmd, args))
		}
	}
	for _, sub := range cmd.Commands() {
		strictArguments(sub)
	}
}

// shortNames are the flags whose variables have no prefix. Every other flag's variable is WATCHBILL_ and its name.
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

// flagsFromEnvironment sets flags that are not on the command line from their variables. The error names every variable
// with a bad value.
func flagsFromEnvironment(flags *pflag.FlagSet, env func(string) (string, bool)) error {
	var faults []error
	flags.VisitAll(func(f *pflag.Flag) {
		value, ok := env(variable(f.Name))
		if f.Changed || !ok || value == "" || f.Name == "help" || f.Name == "version" {
			return
		}
		values := []string{value}
		if f.Value.Type() == "stringArray" {
			values = strings.FieldsFunc(value, func(r rune) bool { return r == '\n' })
		}
		for _, one := range values {
			if err := f.Value.Set(one); err != nil {
				faults = append(faults, badValue(variable(f.Name), f, one, err))
				continue
			}
			f.Changed = true
		}
	})
	return errors.Join(faults...)
}

func versionCommand(std stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return printVersion(std.out) },
	}
}

func printVersion(w io.Writer) error {
	_, err := fmt.Fprintln(w, versionLine())
	return err
}
