package rig

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// echoes starts a server that sends back each line.
func echoes(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					if _, err := fmt.Fprintln(c, lines.Text()); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close() // an error does not matter
		serving.Wait()
	})
	return l.Addr().String()
}

func proxyTo(t *testing.T, target string) *Proxy {
	t.Helper()
	p, err := NewProxy(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

type caller struct {
	net.Conn
	answers *bufio.Reader
}

func call(t *testing.T, p *Proxy) caller {
	t.Helper()
	c, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return caller{c, bufio.NewReader(c)}
}

// say sends a line and returns the next line received within the given time.
func (c caller) say(line string, within time.Duration) (string, error) {
	if _, err := fmt.Fprintln(c, line); err != nil {
		return "", err
	}
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		return "", err
	}
	answer, err := c.answers.ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

const (
	soon  = 100 * time.Millisecond // for lines that must not arrive
	ample = 5 * time.Second        // for lines that must
)

func (c caller) hears(t *testing.T, line string) {
	t.Helper()
	if got, err := c.say(line, ample); got != line || err != nil {
		t.Errorf("want %q back, got %q, %v", line, got, err)
	}
}

func (c caller) hearsNothing(t *testing.T, line string) {
	t.Helper()
	if got, err := c.say(line, soon); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("want silence, got %q, %v", got, err)
	}
}

func TestProxyStalls(t *testing.T) {
	t.Parallel()
	p := proxyTo(t, echoes(t))
	old := call(t, p)
	old.hears(t, "one")
	p.Stall()
	old.hearsNothing(t, "two")
	fresh := call(t, p)
	fresh.hearsNothing(t, "three")
	p.Resume()
	if got, err := old.say("four", ample); got != "two" || err != nil {
		t.Errorf("want what was stalled, got %q, %v", got, err)
	}
	if got, err := fresh.say("five", ample); got != "three" || err != nil {
		t.Errorf("want what was stalled, got %q, %v", got, err)
	}
}

func TestProxyForgets(t *testing.T) {
	t.Parallel()
	p := proxyTo(t, echoes(t))
	old := call(t, p)
	old.hears(t, "one")
	p.Forget()
	old.hearsNothing(t, "two")
	call(t, p).hears(t, "three")
	p.Resume()
	old.hearsNothing(t, "four")
}

func TestProxyCuts(t *testing.T) {
	t.Parallel()
	p := proxyTo(t, echoes(t))
	old := call(t, p)
	old.hears(t, "one")
	p.Cut()
	for _, c := range []caller{old, call(t, p)} {
		if got, err := c.say("two", ample); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("want the connection closed, got %q, %v", got, err)
		}
	}
	p.Resume()
	call(t, p).hears(t, "three")
}

func TestProxyDelays(t *testing.T) {
	t.Parallel()
	p := proxyTo(t, echoes(t))
	c := call(t, p)
	p.Delay(30 * time.Millisecond)
	start := time.Now()
	c.hears(t, "one")
	if took := time.Since(start); took < 60*time.Millisecond {
		t.Errorf("want 30 ms each way, got %s both ways", took)
	}
}

func TestBalancerAsksWhoIsReady(t *testing.T) {
	t.Parallel()
	var ready [2]atomic.Bool
	var servers []string
	for i := range ready {
		ready[i].Store(true)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/readyz" && !ready[i].Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			fmt.Fprint(w, i)
		}))
		t.Cleanup(s.Close)
		servers = append(servers, s.Listener.Addr().String())
	}
	b, err := NewBalancer(10*time.Millisecond, servers...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	client := &http.Client{Timeout: ample, Transport: &http.Transport{DisableKeepAlives: true}}
	who := func() (answers [2]int, failed int) {
		for range 10 {
			resp, err := client.Get("http://" + b.Address() + "/")
			if err != nil {
				failed++
				continue
			}
			var n int
			_, err = fmt.Fscan(resp.Body, &n)
			_ = resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			answers[n]++
		}
		return answers, failed
	}
	awaitReady := func(n int) {
		t.Helper()
		for deadline := time.Now().Add(ample); b.Ready() != n; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d are ready, want %d", b.Ready(), n)
			}
		}
	}
	if got, failed := who(); got != [2]int{5, 5} || failed != 0 {
		t.Errorf("want them in turn, got %v, %d failed", got, failed)
	}
	ready[0].Store(false)
	awaitReady(1)
	if got, failed := who(); got != [2]int{0, 10} || failed != 0 {
		t.Errorf("want the one that is ready, got %v, %d failed", got, failed)
	}
	ready[1].Store(false)
	awaitReady(0)
	if got, failed := who(); failed != 10 {
		t.Errorf("want nobody to answer, got %v, %d failed", got, failed)
	}
}
