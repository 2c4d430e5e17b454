// Package pgserver runs a PostgreSQL server as a child of this process: for trying the product out on one machine and
// for tests. It finds or downloads the programs, makes the cluster and ends with its parent. A production database is
// never started from here. What the database holds is no concern of this package.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	// superuser is the role of every URL: the cluster's bootstrap superuser. That is right for a database that one
	// developer or one test owns, and for nothing else.
	superuser = "watchbill"
	database  = "watchbill"

	readyTimeout   = 2 * time.Minute // crash recovery may replay up to max_wal_size
	cleanupTimeout = 10 * time.Second
	portAttempts   = 5
)

// Options say which server to start. Either DataDir or Ephemeral is needed.
type Options struct {
	// DataDir is the folder that the server's files are kept in: the cluster under data, the superuser's password
	// (mode 0600), postgresql.log with one predecessor, and a lock. It is made if missing. When root cannot give the
	// unprivileged account a way into it, a folder of its own under /var/lib or the temporary directory stands in,
	// always the same one for the same DataDir, and Logf says so.
	DataDir string

	// Ephemeral asks for an empty server that is removed on Stop and does not survive a crash of the machine: nothing
	// is flushed to disk. DataDir is not used.
	Ephemeral bool

	// CacheDir keeps downloaded programs. Empty: watchbill/postgresql under the user's cache directory.
	CacheDir string

	// BinDir names the folder of postgres and initdb; empty: the newest of PATH and /usr/lib/postgresql/*/bin, else a
	// download. A data directory that exists is given its own major version if that is among them.
	BinDir string

	// Logf receives a few lines on what was chosen and why; nil: nobody.
	Logf func(format string, args ...any)
}

// Server is a running PostgreSQL. It is safe for concurrent use.
type Server struct {
	home    *home
	process *process
	url     string
	cleanup sync.Once
}

// Start makes the cluster if there is none, starts PostgreSQL on a free port of 127.0.0.1 and returns once it takes
// connections. The server lives until Stop, or until this process dies however that happens; ctx bounds the start alone.
//
// Run by root, PostgreSQL runs as the user postgres, else nobody, else uid 65534, which is given the data directory.
// Start fails when another process holds the data directory (the error names its pid), when the cluster is of another
// major version (the error names both), or when no programs of PostgreSQL 15 or newer can be found or downloaded.
func Start(ctx context.Context, opts Options) (*Server, error) {
	return start(ctx, opts, defaultSources())
}

func start(ctx context.Context, opts Options, from sources) (_ *Server, err error) {
	if opts.DataDir == "" && !opts.Ephemeral {
		return nil, errors.New("starting PostgreSQL: neither a data directory nor an ephemeral server was asked for")
	}
	if opts.Logf == nil {
		opts.Logf = func(string, ...any) {}
	}
	who := serviceAccount()
	home, err := openHome(ctx, opts, who)
	if err != nil {
		return nil, fmt.Errorf("preparing PostgreSQL's directory: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, home.close())
		}
	}()

	major, err := home.major()
	if err != nil {
		return nil, fmt.Errorf("reading PostgreSQL's data directory: %w", err)
	}
	programs, err := from.find(ctx, opts, who, major)
	if err != nil {
		return nil, fmt.Errorf("finding PostgreSQL: %w", err)
	}
	if err := home.initialise(ctx, programs); err != nil {
		return nil, fmt.Errorf("initialising PostgreSQL's data directory: %w", err)
	}
	server, err := home.serve(ctx, programs)
	if err != nil {
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	opts.Logf("PostgreSQL %s runs as pid %d with its files in %s", programs.version, server.Pid(), home.dir)
	return server, nil
}

// serve starts the server, on another port if somebody took the one that was free a moment ago.
func (h *home) serve(ctx context.Context, programs installation) (*Server, error) {
	password, err := h.password()
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		port, err := freePort(ctx)
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		process, err := h.launch(programs, port)
		if err != nil {
			return nil, err
		}
		err = h.awaitReady(ctx, process, databaseURL("postgres", password, port))
		if err == nil {
			return &Server{home: h, process: process, url: databaseURL(database, password, port)}, nil
		}
		lostPort := process.exited() && portTaken(ctx, port)
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		stopErr := process.stop(stopCtx)
		cancel()
		if !lostPort || attempt == portAttempts {
			return nil, errors.Join(err, stopErr)
		}
	}
}

// URL returns the address of the database "watchbill", as its superuser, with the password in it.
func (s *Server) URL() string { return s.url }

// Pid returns the process id of the postmaster.
func (s *Server) Pid() int { return s.process.pid() }

// Stop asks for a fast shutdown, which ends open sessions, and waits for it; when ctx ends first the server is killed
// and the error says so. Of an ephemeral server nothing is left. Further calls do nothing.
func (s *Server) Stop(ctx context.Context) error {
	err := s.process.stop(ctx)
	s.cleanup.Do(func() { err = errors.Join(err, s.home.close()) })
	if err != nil {
		return fmt.Errorf("stopping PostgreSQL: %w", err)
	}
	return nil
}

func databaseURL(name, password string, port int) string {
	return (&url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		Path:     "/" + name,
		RawQuery: "sslmode=disable",
	}).String()
}

func freePort(ctx context.Context) (int, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

func portTaken(ctx context.Context, port int) bool {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return errors.Is(err, syscall.EADDRINUSE)
	}
	_ = listener.Close()
	return false
}
