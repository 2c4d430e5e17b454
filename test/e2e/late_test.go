//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/openapi"
)

// startsWithin is the startingDeadlineSeconds of testdata/punctual.yaml.
const startsWithin = 2 * time.Minute

// apiServer is read-locked by tests that need Kubernetes' API server, and locked while it is stopped.
var apiServer sync.RWMutex

func shareCluster(t *testing.T) {
	t.Helper()
	apiServer.RLock()
	t.Cleanup(apiServer.RUnlock)
}

// nextSlot returns the next scheduled time of a report of every minute.
func nextSlot() time.Time { return time.Now().UTC().Truncate(time.Minute).Add(time.Minute) }

// testLate stops Kubernetes' API server while a report is due. Clients of Watchbill are not affected, and the report is
// made when the API server is back, for the time when it was due.
func testLate(t *testing.T, r *release, v visitor) {
	if !cluster.ours {
		t.Skip("only hack/cluster's API server may be stopped")
	}
	apiServer.Lock()
	defer apiServer.Unlock()
	applied(t, "punctual.yaml", r.namespace)
	settle(t, v)
	before := atWork(t, v)

	const early, long = 15 * time.Second, 10 * time.Second
	var due time.Time
	eventually(t, 2*time.Minute, "a report is due soon", func(context.Context) error {
		due = nextSlot()
		if left := time.Until(due); left > early || left < early*2/3 {
			return fmt.Errorf("in %s", left)
		}
		return nil
	})
	if err := show(t.Context(), "hack/cluster/cluster", "stop", "kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	back := sync.OnceValue(func() error {
		return show(context.WithoutCancel(t.Context()), "hack/cluster/cluster", "start", "kube-apiserver")
	})
	defer func() { _ = back() }() // errors are checked below
	stopped := time.Now()
	eventually(t, time.Minute, "the report is overdue", func(context.Context) error {
		if time.Since(due) < long {
			return errors.New("it is not yet")
		}
		return nil
	})
	if err := back(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%5.1f s without an API server", time.Since(stopped).Seconds())

	began := r.madeLate(t, due)
	if late := began.Sub(due); late < long/2 || late > startsWithin {
		t.Errorf("the report due at %s was begun at %s, %s late", due, began, late)
	}
	settle(t, v)
	after := atWork(t, v)
	if failed := after.Failed - before.Failed; failed > 0 {
		t.Errorf("%d of %d requests failed meanwhile: %v", failed, after.Requests-before.Requests, after.Failures)
	}
}

// madeLate waits for the report that was due at a time, checks its window, and returns when its Job was created.
func (r *release) madeLate(t *testing.T, due time.Time) (began time.Time) {
	t.Helper()
	a := r.api(t)
	eventually(t, 90*time.Second, "the report that was due is made", func(ctx context.Context) error {
		var list openapi.ReportList
		path := "/api/reports?limit=500&name=punctual&namespace=" + r.namespace
		if status, text, err := a.ask(ctx, http.MethodGet, path, nil, &list); err != nil || status != http.StatusOK {
			return fmt.Errorf("list reports: %d %s %w", status, text, errOrNil(err))
		}
		for _, s := range list.Reports {
			if s.Window.To.Equal(due) {
				if length := s.Window.To.Sub(s.Window.From); length != time.Minute {
					t.Errorf("the report due at %s is of %s", due, length)
				}
				return nil
			}
		}
		return fmt.Errorf("there are %d others", len(list.Reports))
	})
	var job batchv1.Job
	name := fmt.Sprintf("punctual-report-%d", due.Unix()/60)
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: r.namespace, Name: name}, &job); err != nil {
		t.Fatal(err)
	}
	t.Logf("%5.1f s after it was due the report was begun", job.CreationTimestamp.Sub(due).Seconds())
	return job.CreationTimestamp.Time
}
