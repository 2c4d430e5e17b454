package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
)

func TestReplicas(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC) // the time of the server
	replica := func(name string, state openapi.ReplicaState, seen time.Duration, faults ...string) openapi.Replica {
		return openapi.Replica{
			Name: name, State: state, Version: "v1", StartedAt: at.Add(-72 * time.Hour), SeenAt: at.Add(-seen), Faults: append([]string{}, faults...),
			Pool: openapi.ReplicaPool{Max: 16, InUse: 2},
		}
	}
	a := newAPI(t, map[string]http.HandlerFunc{"GET /api/admin/replicas": answers(
		jsonAnswer(http.StatusOK, openapi.ReplicaList{Status: "success", Replicas: []openapi.Replica{
			replica("a", openapi.ReplicaStateOk, 5*time.Second),
			replica("b\x1b[31m", openapi.ReplicaStateDegraded, 5*time.Second, "the mailbox is stale", "the spool is filling up"),
			replica("c", openapi.ReplicaStateLost, 5*time.Minute),
			replica("d", openapi.ReplicaStateStopped, 6*time.Hour),
		}}),
		jsonAnswer(http.StatusOK, openapi.ReplicaList{Status: "success", Replicas: []openapi.Replica{}}),
	)})
	a.run(t.Context(), "replicas").check(t, 0, `REPLICA  STATE     VERSION  AGE  SEEN  CONNECTIONS  FAULTS
a        ok        v1       3d   5s    2 of 16
b`+"\ufffd"+`[31m   degraded  v1       3d   5s    2 of 16      the mailbox is stale; the spool is filling up
c        lost      v1       3d   5m
d        stopped   v1       3d   6h
`, "")
	a.run(t.Context(), "replicas").check(t, 0, "", "watchbill: no replica has stored its state yet\n")
}
