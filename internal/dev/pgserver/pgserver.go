// Package pgserver runs a PostgreSQL server as a child process, for tests and for trying Watchbill on one machine. It
// finds or downloads the programs and creates the cluster; the server ends with its parent. It is not for production
// databases, and knows nothing of the database's contents.
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
	// superuser is the role of every URL: the cluster's bootstrap superuser, since the database belongs to one
	// developer or test.
	superuser = "watchbill"
	database  = "watchbill"

	readyTimeout   = 2 * time.Minute // crash recovery may replay up to max_wal_size
	cleanupTimeout = 10 * time.Second
	portAttempts   = 5
)

// Options configures a server. Either DataDir or Ephemeral is required.
type Options struct {
	// DataDir is the folder of the server's files: the cluster in data, the superuser's password (mode 0600),
	// postgresql.log with one predecessor, and a lock. It is created if missing. If root cannot give the unprivileged
	// account access to it, a folder under /var/lib or the temporary directory is used instead, always the same one for
	// the same DataDir, and Logf reports it.
	DataDir string

	// Ephemeral starts an empty server that is removed by Stop and does not survive a crash of the machine: nothing is
	// flushed to disk. DataDir is not used.
	Ephemeral bool

	// CacheDir holds downloaded programs. The default is watchbill/postgresql in the user's cache directory.
	CacheDir string

	// BinDir is the folder of postgres and initdb. If empty, the newest version in PATH and /usr/lib/postgresql/*/bin
	// is used; without one, it is downloaded. An existing data directory gets its own major version if available.
	BinDir string

	// Logf receives a few lines on what was chosen and why. It may be nil.
	Logf func(format string, args ...any)
}

// Server is a running PostgreSQL. It is safe for concurrent use.
type Server struct {
	home    *home
	process *process
	url     string
	cleanup sync.Once
}

// Start creates the cluster if there is none, starts PostgreSQL on a free port of 127.0.0.1 and returns once it accepts
// connections. The server runs until Stop or the end of this process, even if killed; ctx limits only the start.
//
// If this process is root, PostgreSQL runs as the user postgres, nobody or uid 65534, the first that exists, which
// becomes the owner of the data directory. Start fails if another process uses the data directory (the error names its
// pid), if the cluster is of another major version (the error names both), or if no programs of PostgreSQL 15 or newer
// can be found or downloaded.
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

// serve starts the server, and tries another port if the free one was taken in the meantime.
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

// URL returns the URL of the database "watchbill" with its superuser and password.
func (s *Server) URL() string { return s.url }

// Pid returns the process id of the postmaster.
func (s *Server) Pid() int { return s.process.pid() }

// Stop requests a fast shutdown, which ends open sessions, and waits for it. If ctx ends first, Stop kills the server
// and returns an error. An ephemeral server's files are removed. Further calls do nothing.
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
