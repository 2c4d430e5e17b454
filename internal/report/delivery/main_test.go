package delivery_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/report/delivery"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		stopStore()
		os.Exit(code)
	}))
}

var eight = time.Date(2026, 1, 15, 8, 0, 0, 0, time.UTC)

// aReport returns a report named daily in the namespace fleet, of an hour with 1000 requests, 100 of which failed.
func aReport(t testing.TB, outputs ...reportjob.Output) delivery.Report {
	t.Helper()
	request, err := report.ParseRequest(report.Input{
		Name: "daily", From: "2026-01-15T07:00:00Z", To: "2026-01-15T08:00:00Z", Sections: []string{"summary"}, CompareWith: report.CompareNone,
		Objectives: []objective.Objective{
			{Name: "pool", PoolUtilization: &objective.PoolUtilization{Max: "0.8"}},
			{Name: "most", ErrorRate: &objective.ErrorRate{Max: "0.5"}},
			{Name: "errors", ErrorRate: &objective.ErrorRate{Max: "0.01"}},
		},
	}, 1, eight)
	if err != nil {
		t.Fatal(err)
	}
	facts := report.Facts{Window: request.Window, CoveredSeconds: 3600, Endpoints: []report.EndpointFacts{
		{Method: "GET", Route: "/api/health", ByStatus: map[int]int64{200: 900, 503: 100}},
	}}
	doc, err := report.Compute(request, facts, nil, eight, "0197a1b2-0000-7000-8000-000000000001")
	if err != nil {
		t.Fatal(err)
	}
	spec := reportjob.Spec{Namespace: "fleet", Name: "daily", Keep: 3, Outputs: outputs}
	return delivery.Report{Spec: spec, Slot: eight, Document: doc}
}

func rendered(t testing.TB, r delivery.Report, format report.Format) string {
	t.Helper()
	var b strings.Builder
	if err := report.Render(&b, r.Document, format, report.RenderOptions{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// options returns options with short delays between tries and the clock at the slot.
func options() delivery.Options {
	return delivery.Options{
		Now: func() time.Time { return eight }, Random: func() float64 { return 0.5 }, UserAgent: "watchbill/test",
		Transport: &http.Transport{}, Try: 10 * time.Second, Pause: time.Millisecond,
		MayQuote: func(string, netip.Addr) bool { return true },
	}
}

// deliver delivers a report to its outputs and returns the outcomes: "place: delivered" or "place: message".
func deliver(t testing.TB, r delivery.Report, o delivery.Options) []string {
	t.Helper()
	var all []string
	for _, outcome := range delivery.Deliver(t.Context(), r, o) {
		all = append(all, inWords(outcome))
	}
	return all
}

func inWords(o reportjob.OutputOutcome) string {
	switch {
	case !o.Delivered:
		return o.Output + ": " + o.Message
	case o.Message != "":
		return o.Output + ": delivered, " + o.Message
	default:
		return o.Output + ": delivered"
	}
}

func writeFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The keys of the store.
const (
	accessKeyID     = "the-access-key-id"
	secretAccessKey = "the-secret-access-key"
)

// store is a real S3 server that all tests share, each with its own bucket.
var store struct {
	once    sync.Once
	err     error
	address string // host:port
	folder  string // contains a folder for each bucket
	process *exec.Cmd
	hold    io.Closer // closing it stops the server
}

// startStore returns the store's address and the folder of its buckets.
func startStore(t testing.TB) (address, folder string) {
	t.Helper()
	store.once.Do(func() { store.err = runStore() })
	if store.err != nil {
		t.Fatalf("the S3 server: %v", store.err)
	}
	return store.address, store.folder
}

func runStore() error {
	program, err := exec.Command(filepath.Join("..", "..", "..", "hack", "tool"), "--path", "versitygw").Output()
	if err != nil {
		return err
	}
	if store.folder, err = os.MkdirTemp("", "watchbill-s3-"); err != nil {
		return err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	store.address = free.Addr().String()
	if err := free.Close(); err != nil {
		return err
	}
	buckets, attributes := filepath.Join(store.folder, "buckets"), filepath.Join(store.folder, "attributes")
	for _, dir := range []string{buckets, attributes} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	// It stops when the other end of its shell's input is closed, however the test ends.
	const untilLeft = `"$0" "$@" & read -r _; kill $!; wait $!`
	store.process = exec.Command("sh", "-c", untilLeft, strings.TrimSpace(string(program)),
		"--quiet", "--port", store.address, "posix", "--sidecar", attributes, buckets)
	if store.hold, err = store.process.StdinPipe(); err != nil {
		return err
	}
	store.process.Env = []string{"ROOT_ACCESS_KEY=" + accessKeyID, "ROOT_SECRET_KEY=" + secretAccessKey, "TMPDIR=" + store.folder}
	if err := store.process.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", store.address)
		if err == nil {
			return connection.Close()
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("it does not listen on %s", store.address)
}

func stopStore() {
	if store.hold != nil {
		_ = store.hold.Close()
		_ = store.process.Wait() // fails, since it is killed
	}
	_ = os.RemoveAll(store.folder) // remaining files are in the temporary folder
}
