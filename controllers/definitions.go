package controllers

import (
	"context"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/internal/pause"
)

// watchAgain is how long to wait before a watch that ended is begun again.
const watchAgain = time.Second

// watchDefinitions pokes when a CustomResourceDefinition of the Prometheus operator changes, until ctx is done. It is no
// more than a hint, so that what the watch misses does no harm; an informer would keep all definitions for it, and leaves a
// goroutine behind when it ends (client-go's watch.Filter). Who may not watch them waits for the next look.
func (k *kinds) watchDefinitions(ctx context.Context) {
	for ctx.Err() == nil {
		wait := maxRecheck
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(gvkDefinition.GroupVersion().WithKind(gvkDefinition.Kind + "List"))
		if watcher, err := k.server.Watch(ctx, list); err == nil {
			for event := range watcher.ResultChan() {
				object, ok := event.Object.(client.Object)
				if ok && strings.HasSuffix(object.GetName(), "."+gvkPrometheusRule.Group) {
					k.poke()
				}
			}
			watcher.Stop()
			wait = watchAgain
		}
		pause.For(ctx, wait)
	}
}

// poke has the kinds looked for at once.
func (k *kinds) poke() {
	select {
	case k.pokes <- struct{}{}:
	default: // it is about to
	}
}
