// Command bare is the baseline of idle polls: a net/http handler that only writes a response of the same size.
//
//	bare ADDRESS BODY-BYTES NAME=VALUE…
//
// Every response has that many bytes and those header lines; 0 bytes give status 304.
package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("want an address and a number of bytes, got %q", args)
	}
	size, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	body := []byte(strings.Repeat("x", size))
	header := http.Header{}
	for _, pair := range args[2:] {
		name, value, _ := strings.Cut(pair, "=")
		header.Add(name, value)
	}
	server := &http.Server{
		Addr: args[0], ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for name, values := range header {
				w.Header()[name] = values
			}
			if size == 0 {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			_, _ = w.Write(body) // the client is gone
		}),
	}
	return server.ListenAndServe()
}
