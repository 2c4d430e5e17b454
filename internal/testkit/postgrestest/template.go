package postgrestest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/store/postgres"
	"github.com/watchbill/watchbill/internal/store/postgres/migrations"
)

const (
	// templateLock is the advisory lock for creating templates, one at a time since migrations may change what
	// databases share, such as roles. Advisory locks belong to a database: all processes connect to the URL's.
	templateLock = 0x77617463_68746d70 // "watchtmp"

	databaseTimeout = 2 * time.Minute
)

// service is the role of every test's URL: it owns the databases and is not a superuser, so that row-level security
// applies to it. Its password is derived from the server's URL, for processes that share a server.
const service = "watchbill_service"

func servicePassword(server string) string {
	hash := sha256.Sum256([]byte(server))
	return hex.EncodeToString(hash[:16])
}

// roles creates the service's role and grants it the others, as an administrator does if the service must not have
// CREATEROLE.
const roles = `
	DO $$
	DECLARE
		name text;
		quietly text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH INHERIT FALSE, SET TRUE' ELSE '' END;
	BEGIN
		FOREACH name IN ARRAY ARRAY['watchbill_service', 'watchbill_writer', 'watchbill_admin', 'watchbill_user'] LOOP
			IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
				EXECUTE format('CREATE ROLE %I NOINHERIT', name);
			END IF;
			IF name <> 'watchbill_service' THEN
				EXECUTE format('GRANT %I TO watchbill_service', name) || quietly;
			END IF;
		END LOOP;
	END
	$$;
	GRANT SET ON PARAMETER deadlock_timeout TO watchbill_service; -- for tests of deadlocks that need not wait a second`

// template is a database to copy, which is much faster than running the migrations. Its name is derived from its
// contents, so that a long-lived server may hold several.
type template struct {
	name string
	fill func(ctx context.Context, url string) error
}

// migratedTemplate is the template with the current migrations.
func migratedTemplate() (template, error) {
	hash := sha256.New()
	err := fs.WalkDir(migrations.FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := migrations.FS.ReadFile(path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(hash, "%s %d\n%s", path, len(text), text)
		return err
	})
	if err != nil {
		return template{}, fmt.Errorf("reading the migrations: %w", err)
	}
	return template{name: "watchbill_template_" + hex.EncodeToString(hash.Sum(nil)[:8]), fill: postgres.Migrate}, nil
}

// testDatabase is the database of one test.
type testDatabase struct {
	name, url string
	server    string // URL of the database it was copied from
}

// clone copies the template, and creates it first if the server has none.
func clone(ctx context.Context, server string, from template) (_ testDatabase, err error) {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	made := testDatabase{name: "watchbill_test_" + strings.ToLower(rand.Text()), server: server}
	if made.url, err = serviceURL(server, made.name); err != nil {
		return testDatabase{}, err
	}
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return testDatabase{}, fmt.Errorf("connecting to the test server: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()

	if err := from.ensure(ctx, conn, server); err != nil {
		return testDatabase{}, fmt.Errorf("making the template database %s: %w", from.name, err)
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+quoted(made.name)+" TEMPLATE "+quoted(from.name)+" OWNER "+service); err != nil {
		return testDatabase{}, fmt.Errorf("copying the template database %s: %w", from.name, err)
	}
	return made, nil
}

// ensure creates the template unless it exists and is complete. The lock is released with the connection.
func (tm template) ensure(ctx context.Context, conn *pgx.Conn, server string) error {
	if done, err := tm.done(ctx, conn); done || err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(templateLock)); err != nil {
		return err
	}
	if done, err := tm.done(ctx, conn); done || err != nil { // by another process in the meantime
		return err
	}
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quoted(tm.name)+" WITH (FORCE)"); err != nil { // incomplete
		return err
	}
	if _, err := conn.Exec(ctx, roles); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "ALTER ROLE "+service+" LOGIN PASSWORD '"+servicePassword(server)+"'"); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+quoted(tm.name)+" TEMPLATE template0 OWNER "+service); err != nil {
		return err
	}
	if err := tm.handOver(ctx, conn.Config()); err != nil {
		return err
	}
	filled, err := serviceURL(server, tm.name)
	if err != nil {
		return err
	}
	if err := tm.fill(ctx, filled); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+quoted(tm.name)+" WITH ALLOW_CONNECTIONS false IS_TEMPLATE true")
	return err
}

// handOver makes the service the owner of the schema. Owning the database does not suffice, since the service is
// NOINHERIT and has to SET its roles.
func (tm template) handOver(ctx context.Context, config *pgx.ConnConfig) (err error) {
	config.Database = tm.name
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, "ALTER SCHEMA public OWNER TO "+service)
	return err
}

// done reports whether the template is complete: it is marked as a template last.
func (tm template) done(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var done bool
	err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)", tm.name).Scan(&done)
	return done, err
}

func (d testDatabase) drop(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, d.server)
	if err != nil {
		return fmt.Errorf("connecting to the test server: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quoted(d.name)+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("dropping the test database %s: %w", d.name, err)
	}
	return nil
}

// serviceURL returns the server's URL with another database and the service's login.
func serviceURL(server, name string) (string, error) {
	parsed, err := url.Parse(server)
	if err != nil || (parsed.Scheme != "postgres" && parsed.Scheme != "postgresql") {
		return "", errors.New("the test server's address must be a URL, postgres://…") // it may have a password
	}
	parsed.Path, parsed.User = "/"+name, url.UserPassword(service, servicePassword(server))
	query := parsed.Query()
	for _, overruling := range []string{"dbname", "user", "password"} {
		query.Del(overruling) // it takes precedence over the URL's other parts
	}
	parsed.RawQuery = query.Encode()
	return parsed.String(), nil
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }
