package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// pollEvery is how often a condition is checked.
const pollEvery = 20 * time.Millisecond

// readyWithin limits a server's start, including crash recovery.
const readyWithin = time.Minute

// PostgresOptions configures a server.
type PostgresOptions struct {
	Programs string                                       // the programs' folder; the newest if empty
	Dir      string                                       // an empty folder, created if missing
	Settings map[string]string                            // of postgresql.conf, overriding the defaults
	Data     func(ctx context.Context, p *Postgres) error // creates the data; nil for initdb
}

// Postgres is a PostgreSQL server. Its commits are durable, as in production. It listens on one port of loopback, which
// it keeps across restarts.
type Postgres struct {
	Dir      string
	Port     int
	bin      string
	settings map[string]string
	as       *syscall.Credential // the server's account if this process is root
	process  *Process
}

// StartPostgres creates a server and starts it.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	bin, err := o.Programs, error(nil)
	if bin == "" {
		bin, err = PostgresPrograms()
	}
	if err != nil {
		return nil, err
	}
	as, err := postgresAccount()
	if err != nil {
		return nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	p := &Postgres{Dir: o.Dir, Port: port, bin: bin, settings: o.Settings, as: as}
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return nil, err
	}
	if as != nil {
		if err := os.Chown(p.Dir, int(as.Uid), int(as.Gid)); err != nil {
			return nil, err
		}
	}
	makeData := o.Data
	if makeData == nil {
		makeData = initdb
	}
	if err := makeData(ctx, p); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if err := p.Start(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func initdb(ctx context.Context, p *Postgres) error {
	return p.Run(ctx, "initdb", "-D", p.data(), "-U", "postgres", "-A", "trust", "--no-instructions", "-E", "UTF8", "--locale=C")
}

// Run runs one of PostgreSQL's programs as the server's account and waits for it.
func (p *Postgres) Run(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, program), args...)
	cmd.Dir = p.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return nil
}

// Start starts a server that was stopped or killed and waits until it accepts connections.
func (p *Postgres) Start(ctx context.Context) error {
	if err := p.Launch(ctx); err != nil {
		return err
	}
	return p.AwaitReady(ctx)
}

// Launch starts the server without waiting.
func (p *Postgres) Launch(ctx context.Context) error {
	args := []string{"-D", p.data()}
	settings := []string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(p.Port), "unix_socket_directories=", "max_connections=200",
		"logging_collector=off", "log_timezone=UTC", "timezone=UTC",
	}
	for name, value := range p.settings {
		settings = append(settings, name+"="+value)
	}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	process, err := Start(ctx, Command{
		Path: filepath.Join(p.bin, "postgres"), Args: args, Dir: p.Dir, Log: p.Log(), As: p.as, Env: []string{"LC_ALL=C"},
	})
	if err != nil {
		return err
	}
	p.process = process
	return nil
}

// AwaitReady waits until the server accepts connections.
func (p *Postgres) AwaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	return await(ctx, p.process, func() error {
		conn, err := pgx.Connect(ctx, p.URL("postgres"))
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
}

// Log returns the path of the server's log.
func (p *Postgres) Log() string { return filepath.Join(p.Dir, "postgresql.log") }

func (p *Postgres) data() string { return filepath.Join(p.Dir, "data") }

// Data returns the server's data folder.
func (p *Postgres) Data() string { return p.data() }

// Address returns host:port.
func (p *Postgres) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port)) }

// URL returns the URL of a database for the superuser.
func (p *Postgres) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable", p.Address(), database)
}

// CreateDatabase creates a database and returns its URL.
func (p *Postgres) CreateDatabase(ctx context.Context, name string) (string, error) {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	return p.URL(name), errors.Join(err, conn.Close(ctx))
}

// Kill kills the server and waits for the end of all its processes, so that none writes any more.
func (p *Postgres) Kill() error {
	children := childrenOf(p.process.PID())
	if err := p.process.Kill(); err != nil {
		return err
	}
	for _, pid := range children {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process %d of PostgreSQL: %w", pid, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	return await(ctx, nil, func() error {
		if children = slices.DeleteFunc(children, func(pid int) bool { return !exists(pid) }); len(children) > 0 {
			return fmt.Errorf("processes %v of PostgreSQL go on", children)
		}
		return nil
	})
}

// Replace stops the server and starts one without data at the same address.
func (p *Postgres) Replace(ctx context.Context) error {
	if err := p.Stop(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(p.data()); err != nil {
		return fmt.Errorf("remove the data of a server that was: %w", err)
	}
	if err := initdb(ctx, p); err != nil {
		return err
	}
	return p.Start(ctx)
}

// Stop requests a fast shutdown, which ends sessions and writes a checkpoint.
func (p *Postgres) Stop(ctx context.Context) error {
	if p.process == nil {
		return nil
	}
	return p.process.Stop(ctx, syscall.SIGINT)
}

// Close stops the server and removes its data.
func (p *Postgres) Close() error {
	return errors.Join(p.Stop(context.Background()), os.RemoveAll(p.Dir))
}

// childrenOf returns the child processes of a process.
func childrenOf(parent int) (children []int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	if err != nil {
		return nil // it has ended
	}
	for _, field := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(field); err == nil {
			children = append(children, pid)
		}
	}
	return children
}

// exists reports whether a process exists and is not a zombie, which may remain if nothing waits for it.
func exists(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// await calls look until it returns nil, or until the process, if one is given, ends.
func await(ctx context.Context, p *Process, look func() error) error {
	var ended <-chan struct{}
	if p != nil {
		ended = p.done
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := look()
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("%s ended: %s", p.cmd.Path, tail(p.log))
		case <-ctx.Done():
			return fmt.Errorf("timed out waiting: %w", err)
		case <-tick.C:
		}
	}
}

// PostgresPrograms returns the folder of the newest PostgreSQL on this machine.
func PostgresPrograms() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // the pattern is well-formed
	slices.SortFunc(found, func(a, b string) int { return majorOf(a) - majorOf(b) })
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return "", errors.New("no PostgreSQL in /usr/lib/postgresql or PATH")
	}
	path, err = filepath.EvalSymlinks(path)
	return filepath.Dir(path), err
}

func majorOf(program string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(program)))) // 0 if it is not a version
	return n
}

// postgresAccount returns the account that runs the server if this process is root.
func postgresAccount() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(found.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
	}
	return nil, errors.New("there is no account postgres or nobody for PostgreSQL to run as")
}

func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
