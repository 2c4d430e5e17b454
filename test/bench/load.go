package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

const loadUsage = `usage: bench load -url URL [-method METHOD] [-header 'NAME: VALUE']… [-body FILE] [-rate N] [-connections N] [-for DURATION]
Makes one request again and again and prints how it went. For another server's polls:
  bench load -url http://127.0.0.1:8080/DEFAULT/controller/v1/device-1 -header 'Authorization: TargetToken …' -rate 10000
or its ingestion:
  bench load -url http://127.0.0.1:3000/api/public/ingestion -method POST -header 'Authorization: Basic …' -body batch.json
`

// load makes one of the loads on any server, so that others can be put in Watchbill's place.
func load(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, loadUsage) }
	target := flags.String("url", "", "")
	method := flags.String("method", http.MethodGet, "")
	file := flags.String("body", "", "")
	rate := flags.Float64("rate", 0, "") // 0: as fast as it goes
	connections := flags.Int("connections", 32, "")
	length := flags.Duration("for", 10*time.Second, "")
	var header strings.Builder
	flags.Func("header", "", func(line string) error {
		if name, _, ok := strings.Cut(line, ": "); !ok || name == "" || strings.ContainsAny(line, "\r\n") {
			return errors.New("must be NAME: VALUE")
		}
		header.WriteString(line + "\r\n")
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	u, err := url.Parse(*target)
	if err != nil || u.Scheme != "http" || u.Port() == "" {
		return errors.New("load: -url must be http://HOST:PORT/PATH")
	}
	var body []byte
	if *file != "" {
		if body, err = os.ReadFile(*file); err != nil {
			return err
		}
	}
	request := rig.Request(*method, u.RequestURI(), u.Host, header.String(), body)
	conns := make([]*rig.Conn, *connections)
	for i := range conns {
		if conns[i], err = rig.Dial(ctx, u.Host); err != nil {
			return err
		}
		defer conns[i].Close()
	}
	ask := func(worker int) error {
		response, err := conns[worker].Do(request)
		if err == nil && response.Status >= http.StatusBadRequest {
			err = fmt.Errorf("%d %.200s", response.Status, response.Body)
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, *length)
	defer cancel()
	var result *rig.Result
	if *rate > 0 {
		result = rig.OpenLoop(ctx, *rate, len(conns), func(_ context.Context, worker int, _ int64) error { return ask(worker) })
	} else {
		result = rig.ClosedLoop(ctx, len(conns), func(_ context.Context, worker int) error { return ask(worker) })
	}
	if result.Errors > 0 {
		fmt.Fprintf(os.Stderr, "%d requests failed, the first: %v\n", result.Errors, result.First)
	}
	return printLines(os.Stdout, []figure{
		{"requests_per_s", result.PerSecond(), "1/s", aim{}},
		{"p50_ms", result.Quantile(0.5) * 1e3, "ms", aim{}},
		{"p99_ms", result.Quantile(0.99) * 1e3, "ms", aim{}},
		{"behind_ms", result.Behind.Seconds() * 1e3, "ms", aim{}},
	})
}
