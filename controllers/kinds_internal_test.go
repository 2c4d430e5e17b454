package controllers

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// answering is a fake API server with a configurable List and one watch.
type answering struct {
	client.WithWatch
	err     error
	watcher *watch.FakeWatcher
}

func (a *answering) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return a.err
}

func (a *answering) Watch(context.Context, client.ObjectList, ...client.ListOption) (watch.Interface, error) {
	return a.watcher, nil
}

// dropping is a cache that counts the informers removed from it.
type dropping struct {
	cache.Cache
	dropped int
}

func (d *dropping) RemoveInformer(context.Context, client.Object) error {
	d.dropped++
	return nil
}

// A removed kind is no longer watched, or it would be requested forever. A kind stays watched if the API server was
// only unreachable.
func TestLook(t *testing.T) {
	t.Parallel()
	resource := schema.GroupResource{Group: "monitoring.coreos.com", Resource: "prometheusrules"}
	for name, tt := range map[string]struct {
		err     error
		want    availability
		dropped int
	}{
		"it is there":         {nil, available, 0},
		"it went away":        {apierrors.NewNotFound(resource, ""), missing, 1},
		"the right went away": {apierrors.NewForbidden(resource, "", nil), unreadable, 1},
		"no answer":           {errors.New("connection refused"), available, 0},
	} {
		c := &dropping{}
		k := newKinds(c, nil, c, &answering{err: tt.err}, logr.Discard(), func(context.Context) []reconcile.Request { return nil })
		k.rules.state.Store(int32(available))
		k.rules.known = true
		changed := k.look(t.Context(), k.rules)
		if got := k.rules.is(); got != tt.want || changed != (tt.want != available) || c.dropped != tt.dropped {
			t.Errorf("%s: it is %s, changed %v, dropped %d times", name, got, changed, c.dropped)
		}
	}
}

func TestDefinitionChangesTriggerReconcile(t *testing.T) {
	t.Parallel()
	server := &answering{watcher: watch.NewFake()}
	k := newKinds(&dropping{}, nil, &dropping{}, server, logr.Discard(), func(context.Context) []reconcile.Request { return nil })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.watchDefinitions(ctx)
	}()
	for name, want := range map[string]bool{"prometheusrules.monitoring.coreos.com": true, "others.example.com": false} {
		object := metadataOf(gvkDefinition)
		object.SetName(name)
		server.watcher.Add(object)
		server.watcher.Action(watch.Error, &metav1.Status{}) // received once the event before was handled
		select {
		case <-k.lookC:
			if !want {
				t.Errorf("%s is none of ours", name)
			}
		default:
			if want {
				t.Errorf("%s was passed over", name)
			}
		}
	}
	cancel()
	server.watcher.Stop()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Error("it goes on after its end")
	}
}
