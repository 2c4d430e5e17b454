package controllers

import (
	"context"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/internal/pause"
)

// watchAgain is how long to wait before a watch is restarted.
const watchAgain = time.Second

// watchDefinitions calls requestLook when a CustomResourceDefinition of the Prometheus operator changes, until ctx is done. It is
// only a hint, so missed changes do no harm. An informer would cache all definitions, and leaks a goroutine when it ends
// (client-go's watch.Filter). Without permission to watch, changes are noticed at the next periodic look.
func (k *kinds) watchDefinitions(ctx context.Context) {
	for ctx.Err() == nil {
		wait := maxRecheck
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(gvkDefinition.GroupVersion().WithKind(gvkDefinition.Kind + "List"))
		if watcher, err := k.server.Watch(ctx, list); err == nil {
			for event := range watcher.ResultChan() {
				object, ok := event.Object.(client.Object)
				if ok && strings.HasSuffix(object.GetName(), "."+gvkPrometheusRule.Group) {
					k.requestLook()
				}
			}
			watcher.Stop()
			wait = watchAgain
		}
		pause.For(ctx, wait)
	}
}

// requestLook requests an immediate look for the kinds.
func (k *kinds) requestLook() {
	select {
	case k.lookC <- struct{}{}:
	default: // one is pending
	}
}
