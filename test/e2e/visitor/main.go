// Command visitor is the helper of the end-to-end tests in the cluster: a receiver of reports and alerts (inbox), a
// reader of volumes (files), and a fleet that uses the API through its Service (fleet). Tests send it HTTP requests
// through the API server.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if err := run(":8080"); err != nil {
		fmt.Fprintln(os.Stderr, "visitor:", err)
		os.Exit(1)
	}
}

func run(address string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	inbox := newInbox()
	fleets := &fleets{}
	defer fleets.stop()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /inbox/{box}", inbox.take)
	mux.HandleFunc("GET /inbox/{box}", inbox.show)
	mux.HandleFunc("PUT /inbox/{box}/answer", inbox.setAnswer)
	mux.Handle("GET /files/", http.StripPrefix("/files", http.FileServerFS(os.DirFS("/files"))))
	mux.HandleFunc("POST /fleet", fleets.begin)
	mux.HandleFunc("GET /fleet", fleets.show)
	mux.HandleFunc("PUT /fleet/rest", fleets.pause)
	mux.HandleFunc("DELETE /fleet", fleets.end)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	if err := server.Close(); err != nil {
		return err
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
