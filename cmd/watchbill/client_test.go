package main

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/api/openapi"
)

// TestRefusals checks that error responses are reported helpfully.
func TestRefusals(t *testing.T) {
	t.Parallel()
	html := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html>Bad Gateway</html>")
	}
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{
			"conflict", problem(409, `{"code":"agent_exists","field":"id","detail":"an agent with this id is enrolled"}`),
			"409 agent_exists: id: an agent with this id is enrolled",
		},
		{
			"several faults", problem(400, `{"code":"invalid_field","detail":"first","errors":[{"field":"a","detail":"is wrong"},{"field":"b","detail":"is, too"}]}`),
			"400 invalid_field: a: is wrong\nwatchbill: 400 invalid_field: b: is, too",
		},
		{
			"token", problem(403, `{"code":"forbidden","detail":"this token does not open this"}`),
			"admin token rejected; check ADMIN_TOKEN or --token-file (403 forbidden: this token does not open this)",
		},
		{
			"a label that the token does not allow", problem(403, `{"code":"label_fixed","field":"labels.env","detail":"the enrollment token fixes this label to \"lab\""}`),
			"403 label_fixed: labels.env: the enrollment token fixes this label to \"lab\"",
		},
		{"later", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7")
			problem(429, `{"code":"too_many","detail":"slow down"}`)(w, r)
		}, "429 too_many: slow down; try again in 7s"},
		{"escape sequences", problem(400, `{"code":"x","detail":"a\u001b[2J\nb\u009b1m"}`), "400 x: a\ufffd[2J b\ufffd1m"},
		{"a proxy", html, "$SERVER responded with 502 Bad Gateway, but it is not a Watchbill server; check --server"},
		{"http to https", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "Client sent an HTTP request to an HTTPS server.", http.StatusBadRequest)
		}, "$SERVER responded with 400 Bad Request, but it is not a Watchbill server: Client sent an HTTP request to an HTTPS server; check --server"},
		{"a redirection", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://new.example/", http.StatusMovedPermanently)
		}, "$SERVER redirects to https://new.example/ (301 Moved Permanently); give that as --server"},
		{
			"a web page", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
			"the response is not a Watchbill server's; check --server: invalid character '<' looking for beginning of value",
		},
		{"half an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"agents":[`)
		}, "cannot reach $SERVER: the connection was closed before the end of the response"},
		{"an endless answer", func(w http.ResponseWriter, _ *http.Request) {
			blanks := []byte(strings.Repeat(" ", 1<<20))
			for range 65 {
				_, _ = w.Write(blanks)
			}
		}, "the response is over 67108864 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			api := newAPI(t, map[string]http.HandlerFunc{"GET /api/agents": test.answer})
			want := strings.ReplaceAll(test.want, "$SERVER", api.env["WATCHBILL_SERVER"])
			api.run(t.Context(), "agents", "list").check(t, exitFailed, "", "watchbill: "+want+"\n")
		})
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(jsonAnswer(200, openapi.AgentList{}))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	address := closedPort(t)
	slow := newAPI(t, map[string]http.HandlerFunc{"GET /api/agents": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }})
	plain := strings.Replace(newAPI(t, nil).env["WATCHBILL_SERVER"], "http:", "https:", 1)
	for _, test := range []struct{ name, server, want string }{
		{"refused", "http://" + address, "connection refused; start the server there, or name another with --server or WATCHBILL_SERVER"},
		{"no such host", "http://nowhere.invalid", "cannot look up nowhere.invalid; check --server"},
		{"slow", slow.env["WATCHBILL_SERVER"], "no response within 300ms; --timeout changes that"},
		{"unknown authority", secure.URL, "x509: certificate signed by unknown authority; name the authority to trust with --ca-file"},
		{"https to http", plain, "the server speaks http, not https; check --server"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sh := shell{}.with("ADMIN_TOKEN", "x", "WATCHBILL_SERVER", test.server+"/")
			timeout := "30s"
			if test.name == "slow" {
				timeout = "300ms"
			}
			sh.run(t.Context(), "agents", "list", "--timeout", timeout).
				check(t, exitFailed, "", "watchbill: cannot reach "+test.server+": "+test.want+"\n")
		})
	}

	t.Run("trusted", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "ca.pem")
		authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
		if err := os.WriteFile(file, authority, 0o600); err != nil {
			t.Fatal(err)
		}
		sh := shell{}.with("ADMIN_TOKEN", "x", "WATCHBILL_SERVER", secure.URL, "WATCHBILL_CA_FILE", file)
		sh.run(t.Context(), "agents", "list").check(t, 0, "", "watchbill: no agents\n")
	})
}

// closedPort returns an address at which nothing listens during the test.
func closedPort(t *testing.T) string {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(socket) })
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + strconv.Itoa(name.(*syscall.SockaddrInet4).Port)
}

// TestTokens checks that the file's token takes precedence over the variable's, and that the first of several is used.
func TestTokens(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args string
		env  []string
		want string
	}{
		{"", nil, "the-admin-token"},
		{"", []string{"ADMIN_TOKEN", " new , old"}, "new"},
		{"--admin-token given", nil, "given"},
		{"--token-file " + file, nil, "from-file"},
		{"", []string{"WATCHBILL_TOKEN_FILE", file}, "from-file"},
	} {
		api := newAPI(t, map[string]http.HandlerFunc{"GET /prefix/api/agents": jsonAnswer(200, openapi.AgentList{})})
		sh := api.with(test.env...).with("WATCHBILL_SERVER", api.env["WATCHBILL_SERVER"]+"/prefix/")
		sh.must(t, append([]string{"agents", "list"}, strings.Fields(test.args)...)...)
		if got := api.requests()[0].token; got != "Bearer "+test.want {
			t.Errorf("%s %q: want %s, got %s", test.args, test.env, test.want, got)
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	list := func(n int) func(int32, *string) ([]int, string, error) {
		return func(size int32, cursor *string) ([]int, string, error) {
			at := 0
			if cursor != nil {
				at, _ = strconv.Atoi(*cursor)
			}
			var page []int
			for ; at < n && len(page) < int(size); at++ {
				page = append(page, at)
			}
			if at == n {
				return page, "", nil
			}
			return page, strconv.Itoa(at), nil
		}
	}
	for _, test := range []struct {
		entries, limit, size, want int
		more                       bool
	}{
		{0, 10, 3, 0, false},
		{7, 10, 3, 7, false},
		{10, 10, 3, 10, false},
		{11, 10, 3, 10, true},
		{9, 3, 3, 3, true},
		{3, 3, 3, 3, false},
	} {
		got, more, err := pages(test.limit, test.size, list(test.entries))
		if err != nil || got == nil || len(got) != test.want || more != test.more {
			t.Errorf("%+v: got %d entries, more %v, %v", test, len(got), more, err)
		}
	}
	_, _, err := pages(10, 3, func(int32, *string) ([]int, string, error) { return nil, "again", nil })
	if err == nil {
		t.Error("a list that does not end: want an error, got none")
	}
}

func TestPersist(t *testing.T) {
	t.Parallel()
	away := &refusal{problem: &openapi.Problem{Status: 503, Code: "unavailable", Detail: "away"}}
	final := errors.New("final")
	for _, test := range []struct {
		name    string
		call    func(n int) error
		calls   int
		took    time.Duration
		want    error
		notices int
	}{
		{"at once", func(int) error { return nil }, 1, 0, nil, 0},
		{"final", func(int) error { return final }, 1, 0, final, 0},
		{"back again", func(n int) error {
			if n < 3 {
				return away
			}
			return nil
		}, 4, 1750 * time.Millisecond, nil, 1},
		{"back, but no", func(n int) error {
			if n < 1 {
				return away
			}
			return final
		}, 2, 250 * time.Millisecond, final, 1},
		{"gone", func(int) error { return away }, 28, 117750 * time.Millisecond, away, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls, notices, start := 0, 0, time.Now()
				err := persist(t.Context(), func(string) { notices++ }, func() error { calls++; return test.call(calls - 1) })
				if !errors.Is(err, test.want) || calls != test.calls || time.Since(start) != test.took || notices != test.notices {
					t.Errorf("want %v after %d calls, %s and %d words, got %v, %d, %s and %d",
						test.want, test.calls, test.took, test.notices, err, calls, time.Since(start), notices)
				}
			})
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := persist(ctx, func(string) {}, func() error { return away }); !errors.Is(err, errInterrupted) {
				t.Errorf("want %v, got %v", errInterrupted, err)
			}
		})
	})
	t.Run("as the server asks", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var at []time.Duration
			start := time.Now()
			asked := &refusal{problem: away.problem, retryAfter: time.Hour}
			_ = persist(t.Context(), func(string) {}, func() error { at = append(at, time.Since(start)); return asked })
			want := []time.Duration{0, 30 * time.Second, time.Minute, 90 * time.Second, 2 * time.Minute}
			if diff := cmp.Diff(want, at); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	})
}
