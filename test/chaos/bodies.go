package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/test/rig"
)

// heldFanout holds thousands of polls of one agent and then creates a deployment for it.
var heldFanout = experiment{
	name:  "held_fanout",
	what:  "6,000 held polls of one agent, and one deployment for it",
	quick: true,
	strike: func(ctx context.Context, t *trial) error {
		return t.onEach(ctx, "", func(ctx context.Context, o *overload) error {
			polls := t.repeat(6000, 1000)
			k := o.watch(ctx)
			defer k.end("held_fanout")
			var failed, delivered, sent atomic.Int64
			var polling sync.WaitGroup
			for range polls {
				polling.Go(func() {
					response, err := o.hold(ctx, &sent)
					switch {
					case err != nil || response.Status != http.StatusOK && response.Status != http.StatusNotModified:
						failed.Add(1)
					case bytes.Contains(response.Body, []byte(`"deployments":[{`)):
						delivered.Add(1)
					}
				})
				if sent.Load()%64 == 0 {
					pause.For(ctx, time.Millisecond)
				}
			}
			eventually(ctx, 20*time.Millisecond, func() bool { return sent.Load()+failed.Load() >= int64(polls) })
			if err := o.deploy(ctx, 12<<10, 0); err != nil {
				return err
			}
			polling.Wait()
			o.set("held_poll_fanout_delivered", float64(delivered.Load()), "polls")
			o.must("held_poll_fanout_failed", int(failed.Load()), "polls")
			return ctx.Err()
		})
	},
}

func (o *overload) hold(ctx context.Context, sent *atomic.Int64) (rig.Response, error) {
	conn, err := rig.Dial(ctx, o.server.Address)
	if err != nil {
		return rig.Response{}, err
	}
	defer conn.Close()
	path, token := o.agent(0)
	header := "Authorization: Bearer " + token + "\r\nIf-None-Match: " + fleet.NothingWaiting + "\r\n"
	sent.Add(1)
	return conn.Do(rig.Request(http.MethodGet, path+"?wait=60s", o.server.Address, header, nil))
}

// trickledBodies sends bodies that never end.
var trickledBodies = experiment{
	name:  "trickled_bodies",
	what:  "400 enrolments and 300 status reports of nearly 1 MiB whose last byte never comes",
	quick: true,
	strike: func(ctx context.Context, t *trial) error {
		return t.onEach(ctx, "", func(ctx context.Context, o *overload) error {
			k := o.watch(ctx)
			defer func() { k.end("trickled_bodies"); o.set("rss_under_trickled_bodies_mib", k.mib(), "MiB") }()
			_, agent := o.agent(0)
			status := "/api/deployments/" + uuid.New().String() + "/status"
			var conns []net.Conn
			defer func() {
				for _, conn := range conns {
					_ = conn.Close() // the response does not matter
				}
			}()
			for i := range 700 {
				path, token := "/api/agents", rig.EnrollmentToken
				if i >= 400 {
					path, token = status, agent
				}
				conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", o.server.Address)
				if err != nil {
					return err
				}
				conns = append(conns, conn)
				body := `{"output": "` + strings.Repeat("x", 1<<20-100)
				head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, token, 1<<20)
				if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
					return err
				}
				_, _ = io.WriteString(conn, head+body) // the server may respond and close the connection before all is sent
			}
			pause.For(ctx, time.Duration(t.repeat(10, 2))*time.Second)
			return ctx.Err()
		})
	},
}

// oversizedBodies sends bodies larger than any route accepts, from clients that read the response only after sending
// everything.
var oversizedBodies = experiment{
	name:  "oversized_bodies",
	what:  "bodies of 64 MiB, by clients that read the answer after they have sent all of it",
	quick: true,
	strike: func(ctx context.Context, t *trial) error {
		return t.onEach(ctx, "", func(ctx context.Context, o *overload) error {
			k := o.watch(ctx)
			defer k.end("oversized_bodies")
			resets, sent := 0, 0
			for range t.repeat(10, 2) {
				for path, token := range map[string]string{
					"/api/executions": rig.IngestToken, "/v1/traces": rig.IngestToken, "/api/deployments": rig.AdminToken,
				} {
					for _, chunked := range []bool{false, true} {
						sent++
						if status, err := o.sendAll(ctx, path, token, chunked); err != nil || status != http.StatusRequestEntityTooLarge {
							t.logf("%s: %s, chunked %v: %d %v", t.name, path, chunked, status, err)
							resets++
						}
					}
				}
			}
			t.logf("%s: %d bodies", t.name, sent)
			o.must("oversized_body_resets", resets, "requests")
			return ctx.Err()
		})
	},
}

// sendAll sends 64 MiB and then reads the response.
func (o *overload) sendAll(ctx context.Context, path, token string, chunked bool) (status int, err error) {
	const size, part = 64 << 20, 64 << 10
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", o.server.Address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, err
	}
	length, before, after, end := fmt.Sprintf("Content-Length: %d", size), "", "", ""
	if chunked {
		length, before, after, end = "Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n", part), "\r\n", "0\r\n\r\n"
	}
	w := bufio.NewWriterSize(conn, 128<<10)
	_, _ = fmt.Fprintf(w, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%s\r\n\r\n", path, token, length) // Flush returns the error
	spaces := strings.Repeat(" ", part)
	for range size / part {
		if _, err := w.WriteString(before + spaces + after); err != nil {
			return 0, err
		}
	}
	_, _ = w.WriteString(end) // Flush returns the error
	if err := w.Flush(); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}

// idleConnections opens more connections than a process's file limit, and sends nothing on them.
var idleConnections = experiment{
	name:  "idle_connections",
	what:  "300 idle connections without a token to a process that may have 256 files",
	quick: true,
	strike: func(ctx context.Context, t *trial) error {
		return t.onEach(ctx, "ulimit -n 256", func(ctx context.Context, o *overload) error {
			var conns []net.Conn
			defer func() {
				for _, conn := range conns {
					_ = conn.Close() // nothing was to be read
				}
			}()
			for range 300 {
				conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", o.server.Address)
				if err != nil {
					return err
				}
				conns = append(conns, conn)
				_, _ = io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n") // it may be closed
			}
			if !pause.For(ctx, 500*time.Millisecond) {
				return ctx.Err()
			}
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 3 * time.Second}
			path, token := o.agent(0)
			failed := 0
			for range t.repeat(5, 3) {
				for _, url := range []string{o.server.URL + path, o.server.URL + "/livez", o.server.URL + "/api/health", o.server.MetricsURL} {
					if status, _, err := send(ctx, client, http.MethodGet, url, token, nil, nil); err != nil || status != http.StatusOK {
						t.logf("%s: %s: %d %v", t.name, url, status, err)
						failed++
					}
				}
			}
			o.must("answers_failed_under_idle_connections", failed, "requests")
			return ctx.Err()
		})
	},
}
