package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The tokens of every server of the rig.
const (
	AdminToken      = "rig-admin-token-0123456789abcdef"
	EnrollmentToken = "rig-enrollment-token-0123456789a"
	IngestToken     = "rig-ingest-token-0123456789abcde"
)

// ServeOptions configures `watchbill serve`. Other flags, including those of logs, have their defaults.
type ServeOptions struct {
	Binary      string
	DatabaseURL string
	Dir         string // for its log and spool
	Name        string // of the log; "serve" if empty
	Address     string // a free port if empty
	Args        []string
	Env         []string
	Out         *os.File // nil to write its standard output to the log
}

// Server is a running `watchbill serve` that is ready.
type Server struct {
	*Process
	URL, Address, MetricsURL string
	Log                      string
	ReadyAfter               time.Duration // since its start
}

// Serve starts a server and waits until it is ready.
func Serve(ctx context.Context, o ServeOptions) (*Server, error) {
	address := o.Address
	if address == "" {
		port, err := freePort(ctx)
		if err != nil {
			return nil, err
		}
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	if o.Name == "" {
		o.Name = "serve"
	}
	metrics := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	s := &Server{Address: address, URL: "http://" + address, MetricsURL: "http://" + metrics + "/metrics", Log: filepath.Join(o.Dir, o.Name+".log")}
	args := append([]string{"serve", "--listen", address, "--metrics-listen", metrics, "--spool-dir", filepath.Join(o.Dir, o.Name+"-spool")}, o.Args...)
	began := time.Now()
	s.Process, err = Start(ctx, Command{
		Path: o.Binary, Args: args, Dir: o.Dir, Log: s.Log, Out: o.Out,
		Env: append([]string{
			"DATABASE_URL=" + o.DatabaseURL, "ADMIN_TOKEN=" + AdminToken, "ENROLLMENT_TOKEN=" + EnrollmentToken, "INGEST_TOKEN=" + IngestToken,
		}, o.Env...),
	})
	if err != nil {
		return nil, err
	}
	if err := s.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, s.Kill())
	}
	s.ReadyAfter = time.Since(began)
	return s, nil
}

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	var last error
	tick := time.NewTicker(2 * time.Millisecond) // short, since the time until it is ready is measured
	defer tick.Stop()
	for {
		select {
		case <-s.Done():
			return fmt.Errorf("watchbill serve ended: %s", tail(s.Log))
		case <-ctx.Done():
			return fmt.Errorf("watchbill serve is not ready: %w\n%s", last, tail(s.Log))
		case <-tick.C:
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			last = err
			continue
		}
		if err := response.Body.Close(); err != nil {
			return err
		}
		if response.StatusCode == http.StatusOK {
			return nil
		}
		last = errors.New(response.Status)
	}
}

// Metrics reads the server's metrics by series, written as in Prometheus' text format with labels.
func (s *Server) Metrics(ctx context.Context) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.MetricsURL, nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	figures := map[string]float64{}
	lines := bufio.NewScanner(io.LimitReader(response.Body, 64<<20))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		space := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || space < 0 {
			continue
		}
		value, err := strconv.ParseFloat(line[space+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("read %s: %q", s.MetricsURL, line)
		}
		figures[line[:space]] = value
	}
	return figures, lines.Err()
}

// Goroutines returns the server's number of goroutines.
func (s *Server) Goroutines(ctx context.Context) (int, error) {
	figures, err := s.Metrics(ctx)
	return int(figures["go_goroutines"]), err
}

// AwaitListening waits until something listens on host:port. It returns an error if the process ends.
func AwaitListening(ctx context.Context, address string, p *Process) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	return await(ctx, p, func() error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}
