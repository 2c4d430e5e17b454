package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

func migrateCommand(std stdio) *cobra.Command {
	config := replica.Defaults()
	url := func() (string, error) {
		if config.DirectURL() == "" {
			return "", usageError(errors.New("--database-url: is required (or DATABASE_URL)"))
		}
		flag := "--database-url"
		if config.DatabaseDirectURL != "" {
			flag = "--database-direct-url"
		}
		if fault := postgres.URLFault(config.DirectURL()); fault != "" {
			return "", usageError(fmt.Errorf("%s: %s", flag, fault))
		}
		return config.DirectURL(), nil
	}
	var afterRestore bool
	up := func(cmd *cobra.Command, _ []string) error {
		to, err := url()
		if err != nil {
			return err
		}
		if !afterRestore {
			return postgres.Migrate(cmd.Context(), to)
		}
		renewed, err := postgres.AfterRestore(cmd.Context(), to)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(std.out, "marked as changed: %d agents, %d deleted agents, %d deployments; every replica reads them again\n",
			renewed.Agents, renewed.DeletedAgents, renewed.Deployments)
		return err
	}
	const afterRestoreUsage = "also mark every row as changed, so that each replica reads everything again; for use after a database restore"
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Migrate the database schema to this version",
		Long: `Migrate the database schema to this version, as 'migrate up' does. 'watchbill serve' does the same when it starts, unless
--migrate=false.`,
		Args: cobra.NoArgs,
		RunE: up,
	}
	bindDatabase(cmd.PersistentFlags(), &config)
	cmd.Flags().BoolVar(&afterRestore, "after-restore", false, afterRestoreUsage)
	upCommand := &cobra.Command{Use: "up", Short: "Migrate the database schema to this version", Args: cobra.NoArgs, RunE: up}
	upCommand.Flags().BoolVar(&afterRestore, "after-restore", false, afterRestoreUsage)
	cmd.AddCommand(
		upCommand,
		&cobra.Command{
			Use: "status", Short: "List the migrations and when each was applied", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				from, err := url()
				if err != nil {
					return err
				}
				steps, err := postgres.MigrationStatus(cmd.Context(), from)
				if err != nil {
					return err
				}
				return printMigrations(std, steps)
			},
		},
	)
	return cmd
}

func printMigrations(std stdio, steps []postgres.Migration) error {
	rows := make([][]cell, len(steps))
	for i, s := range steps {
		applied := "pending"
		if !s.AppliedAt.IsZero() {
			applied = s.AppliedAt.UTC().Format(time.RFC3339)
		}
		rows[i] = []cell{plain(s.Name), plain(applied)}
	}
	c := console{stdio: std}
	return c.print(c.table([]string{"MIGRATION", "APPLIED"}, rows))
}
