package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/controllers"
)

// When the leader stops, another replica takes over immediately, not when the lease expires.
func TestLeaderHandsOver(t *testing.T) {
	t.Parallel()
	w := begin(t, func(o *controllers.ManagerOptions) {
		o.LeaderElect = true
		o.LeaderElectionNamespace = o.WatchNamespaces[0]
	})
	holder := func() (string, error) {
		lease := named(w, &coordinationv1.Lease{}, "watchbill-controller")
		if err := w.get(lease); err != nil {
			return "", err
		}
		if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
			return "", errors.New("nobody holds the lease")
		}
		return *lease.Spec.HolderIdentity, nil
	}
	var first string
	w.eventually("there is a leader", func() (err error) {
		first, err = holder()
		return err
	})
	mr := w.settledReport("daily")

	stopFirst := w.stop
	w.writes.take()
	w.start() // the second controller, which waits
	change(w, mr, func(mr *v1alpha1.MonitoringReport) { mr.Spec.Schedule = "1 1 * * *" })
	w.settled(mr)
	if now, err := holder(); err != nil || now != first {
		t.Errorf("the leader is %q (%v), want still %q", now, err, first)
	}
	stopFirst()
	stopped := time.Now()
	w.eventually("the second leads", func() error {
		now, err := holder()
		if err == nil && now == first {
			err = errors.New("it is the first still")
		}
		return err
	})
	change(w, mr, func(mr *v1alpha1.MonitoringReport) { mr.Spec.Schedule = "2 2 * * *" })
	w.settled(mr)
	lease := named(w, &coordinationv1.Lease{}, "watchbill-controller")
	if err := w.get(lease); err != nil {
		t.Fatal(err)
	}
	// Without a release the second would have waited until the lease ended, 15 s after the first renewed it. Of what happened
	// since, only the acquisition counts, as the machine may be busy.
	if took := lease.Spec.AcquireTime.Sub(stopped); took > 12*time.Second {
		t.Errorf("the hand-over took %s", took)
	}
}

func TestHealthEndpoints(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	w := begin(t, func(o *controllers.ManagerOptions) { o.HealthListen = address })
	http := &http.Client{Timeout: 5 * time.Second}
	t.Cleanup(http.CloseIdleConnections)
	for _, path := range []string{"/healthz", "/readyz"} {
		w.eventually(path+" is well", func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			return respondsOK(ctx, http, fmt.Sprintf("http://%s%s", address, path))
		})
	}
}

func respondsOK(ctx context.Context, c *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return equal(response.StatusCode, http.StatusOK)
}
