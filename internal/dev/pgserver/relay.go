package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

const maxDownloadBytes = 256 << 20 // an archive is some 15 MB

// relay is a proxy between the embedded-postgres library and the repository that it downloads from. The library's
// requests cannot be canceled or limited, it hides the reasons of failures, and it accepts a missing checksum. Through
// the relay they end with ctx, are limited in size, and all of them must succeed.
type relay struct {
	url    string
	server *http.Server
	client *http.Client
	served chan struct{}

	mu       sync.Mutex
	firstErr error
}

func startRelay(ctx context.Context, repository string) (*relay, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		ResponseHeaderTimeout: time.Minute,
	}
	r := &relay{
		url:    "http://" + listener.Addr().String(),
		client: &http.Client{Transport: transport},
		served: make(chan struct{}),
	}
	r.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if err := r.pass(ctx, w, repository+req.URL.Path); err != nil {
				r.fail(err)
				panic(http.ErrAbortHandler) // so that the library does not see a response
			}
		}),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	go func() {
		defer close(r.served)
		if err := r.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			r.fail(err)
		}
	}()
	return r, nil
}

func (r *relay) pass(ctx context.Context, w http.ResponseWriter, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	if _, err := io.Copy(w, http.MaxBytesReader(nil, resp.Body, maxDownloadBytes)); err != nil {
		return fmt.Errorf("reading %s: %w", url, err)
	}
	return nil
}

func (r *relay) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.firstErr == nil {
		r.firstErr = err
	}
}

// close stops the relay and returns the first error.
func (r *relay) close() error {
	closeErr := r.server.Close()
	<-r.served
	r.client.CloseIdleConnections()
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.firstErr, closeErr)
}
