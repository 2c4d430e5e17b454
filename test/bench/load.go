package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

const loadUsage = `usage: bench load -url URL [-method METHOD] [-header 'NAME: VALUE']… [-body FILE] [-rate N] [-connections N] [-for DURATION] [-of N]
Makes requests and prints how they went. Without -rate they go as fast as responses arrive. {n} in the path, in headers and in the
body is the request's number, by the remainder of -of if that is given: so each of a fleet polls in turn, and no batch is a repetition.
For another server's polls:
  bench load -url http://127.0.0.1:8080/DEFAULT/controller/v1/device-{n} -of 100000 -header 'Authorization: GatewayToken …' -rate 10000
or its ingestion:
  bench load -url http://127.0.0.1:3000/api/public/ingestion -method POST -header 'Authorization: Basic …' -body batch.json
`

// load makes one of the loads on any server, for comparisons with Watchbill.
func load(ctx context.Context, args []string) error {
	t, flags := &target{header: &strings.Builder{}}, flag.NewFlagSet("load", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, loadUsage) }
	address := flags.String("url", "", "")
	flags.StringVar(&t.method, "method", http.MethodGet, "")
	file := flags.String("body", "", "")
	rate := flags.Float64("rate", 0, "")
	connections := flags.Int("connections", 32, "")
	length := flags.Duration("for", 10*time.Second, "")
	flags.Int64Var(&t.of, "of", 0, "")
	flags.Func("header", "", t.addHeader)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *rate < 0 || *connections < 1 || *length <= 0 || t.of < 0 {
		return fmt.Errorf("load: cannot be meant\n%s", loadUsage)
	}
	u, err := url.Parse(*address)
	if err != nil || u.Scheme != "http" || u.Port() == "" {
		return errors.New("load: -url must be http://HOST:PORT/PATH")
	}
	t.host = u.Host
	_, t.path, _ = strings.Cut(strings.TrimPrefix(*address, "http://"), "/") // unparsed, since a URL escapes braces
	if *file != "" {
		if t.body, err = os.ReadFile(*file); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, *length)
	defer cancel()
	result := t.load(ctx, *rate, *connections)
	return errors.Join(printLoad(os.Stdout, result), failures(result))
}

func printLoad(w io.Writer, result *rig.Result) error {
	return printLines(w, []figure{
		{"requests_per_s", result.PerSecond(), "1/s", aim{}},
		{"p50_ms", result.Quantile(0.5) * 1e3, "ms", aim{}},
		{"p99_ms", result.Quantile(0.99) * 1e3, "ms", aim{}},
		{"behind_ms", result.Behind.Seconds() * 1e3, "ms", aim{}},
		{"unmade", float64(result.Unmade), "requests", aim{}},
	})
}

// failures returns an error if some requests failed: failing is quick, so the latencies are meaningless then.
func failures(result *rig.Result) error {
	if result.Count == 0 {
		return errors.New("no response in time")
	}
	if result.Errors > 0 {
		return fmt.Errorf("of %d requests %d failed, the first: %w", result.Count, result.Errors, result.First)
	}
	return nil
}

// target is the target of a load.
type target struct {
	method, host, path string
	header             *strings.Builder // lines that end with \r\n
	body               []byte           // may be nil
	of                 int64            // 0 if numbers do not repeat
}

func (t *target) addHeader(line string) error {
	if name, _, ok := strings.Cut(line, ": "); !ok || name == "" || strings.ContainsAny(line, "\r\n") {
		return errors.New("must be NAME: VALUE")
	}
	t.header.WriteString(line + "\r\n")
	return nil
}

// load sends requests at a rate, or without pauses if the rate is 0, until ctx ends.
func (t *target) load(ctx context.Context, rate float64, connections int) *rig.Result {
	conns := make([]*rig.Conn, connections)
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				_ = conn.Close() // all responses were received
			}
		}
	}()
	always := rig.Request(t.method, "/"+t.path, t.host, t.header.String(), t.body)
	if bytes.Contains(always, placeholder) {
		always = nil
	}
	ask := func(ctx context.Context, worker int, n int64) (err error) {
		if conns[worker] == nil { // the first time, or because the server closed it
			// The end of the load is not an error of a connection in progress.
			if conns[worker], err = rig.Dial(context.WithoutCancel(ctx), t.host); err != nil {
				return err
			}
		}
		request := always
		if request == nil {
			request = t.request(n)
		}
		response, err := conns[worker].Do(request)
		if err != nil || response.Closes {
			err = errors.Join(err, conns[worker].Close())
			conns[worker] = nil
		}
		if err == nil && response.Status >= http.StatusBadRequest {
			err = fmt.Errorf("%d %.200s", response.Status, response.Body)
		}
		return err
	}
	if rate > 0 {
		return rig.OpenLoop(ctx, rate, connections, ask)
	}
	var next atomic.Int64
	return rig.ClosedLoop(ctx, connections, func(ctx context.Context, worker int) error { return ask(ctx, worker, next.Add(1)-1) })
}

// placeholder is replaced by a request's number.
var placeholder = []byte("{n}")

// request returns the n-th request.
func (t *target) request(n int64) []byte {
	if t.of > 0 {
		n %= t.of
	}
	written := strconv.FormatInt(n, 10)
	fill := func(text string) string { return strings.ReplaceAll(text, string(placeholder), written) }
	body := t.body
	if body != nil {
		body = bytes.ReplaceAll(body, placeholder, []byte(written))
	}
	return rig.Request(t.method, "/"+fill(t.path), t.host, fill(t.header.String()), body)
}
