package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/watchbill/watchbill/internal/store/postgres/migrations"
)

// Migration is one step of the schema's history.
type Migration struct {
	Version   int64
	Name      string
	AppliedAt time.Time // zero if not applied
}

// Migrate migrates the schema to this binary's version. An advisory lock serializes replicas that start together, so
// url must not lead through a transaction pooler.
func Migrate(ctx context.Context, url string) error {
	err := withGoose(url, func(p *goose.Provider, conn *sql.DB) error {
		if _, err := p.Up(ctx); err != nil {
			return err
		}
		return healAfterRestore(ctx, conn)
	})
	if sqlstate(err) == insufficientPrivilege {
		return fmt.Errorf("%w: the login lacks a permission; docs/operations.md says how to create one that has it", err)
	}
	return err
}

// Renewed is the number of rows that AfterRestore marked as changed.
type Renewed struct{ Agents, DeletedAgents, Deployments int64 }

// AfterRestore migrates a restored schema, marks all its rows as changed, and recreates the triggers that mark
// changes, since it may have been restored without them. Every replica then reads everything again, including
// replicas of the previous release.
func AfterRestore(ctx context.Context, url string) (renewed Renewed, err error) {
	err = withGoose(url, func(p *goose.Provider, conn *sql.DB) error {
		if _, err := p.Up(ctx); err != nil {
			return err
		}
		for table, count := range map[string]*int64{
			"agents": &renewed.Agents, "deleted_agents": &renewed.DeletedAgents, "deployments": &renewed.Deployments,
		} {
			done, err := conn.ExecContext(ctx, "UPDATE "+table+" SET changed_xid = pg_current_xact_id()")
			if err == nil {
				*count, err = done.RowsAffected()
			}
			if err != nil {
				return fmt.Errorf("mark the rows of %s: %w", table, err)
			}
		}
		for _, up := range []bool{false, true} {
			if _, err := p.ApplyVersion(ctx, markingMigration, up); err != nil {
				return fmt.Errorf("make the triggers: %w", err)
			}
		}
		return nil
	})
	return renewed, err
}

// Newest returns the version of this binary's newest migration.
func Newest() (version int64) {
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		return 0 // only for a malformed pattern
	}
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			version = max(version, n)
		}
	}
	return version
}

// MigrationStatus returns this binary's migrations, oldest first.
func MigrationStatus(ctx context.Context, url string) ([]Migration, error) {
	var all []Migration
	err := withGoose(url, func(p *goose.Provider, _ *sql.DB) error {
		steps, err := p.Status(ctx)
		if err != nil {
			return fmt.Errorf("read the schema's history: %w", err)
		}
		for _, s := range steps {
			all = append(all, Migration{s.Source.Version, s.Source.Path, s.AppliedAt})
		}
		return nil
	})
	return all, err
}

func withGoose(url string, do func(*goose.Provider, *sql.DB) error) (err error) {
	cc, err := connConfig(url)
	if err != nil {
		return err
	}
	conn := stdlib.OpenDB(*cc)
	defer func() { err = errors.Join(err, conn.Close()) }()

	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return fmt.Errorf("make the migration lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, conn, migrations.FS, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	return wrap("migrate", do(provider, conn))
}

// healAfterRestore replaces values of changed_xid that are in the future. A dump restored into a new cluster contains
// the old cluster's transaction ids, and sweeps of the previous release would read such rows repeatedly.
func healAfterRestore(ctx context.Context, conn *sql.DB) error {
	for _, table := range []string{"agents", "deleted_agents", "deployments"} {
		heal := `UPDATE ` + table + ` SET changed_xid = pg_current_xact_id()
			WHERE changed_xid >= pg_snapshot_xmax(pg_current_snapshot())`
		if _, err := conn.ExecContext(ctx, heal); err != nil {
			return fmt.Errorf("renew restored transaction ids of %s: %w", table, err)
		}
	}
	return nil
}
