package operations

import (
	"context"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/observe/health"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

func (a *API) listReplicas(ctx context.Context, _ endpoint.Nothing) (openapi.ReplicaList, error) {
	found, err := a.Replicas.List(ctx)
	if err != nil {
		return openapi.ReplicaList{}, err
	}
	answer := openapi.ReplicaList{Status: "success", Replicas: make([]openapi.Replica, len(found))}
	for i, r := range found {
		answer.Replicas[i] = openapi.Replica{
			Name: r.Name, This: r.Name == a.Replica, Version: r.Version, State: stateOf(r), StartedAt: r.Started.UTC(), SeenAt: r.Seen.UTC(),
			Faults: r.Faults, Pool: openapi.ReplicaPool{Max: r.PoolMax, InUse: r.PoolInUse, Waiting: r.PoolWaiting},
		}
		if !r.Stopped.IsZero() {
			answer.Replicas[i].StoppedAt = r.Stopped.UTC()
		}
	}
	return answer, nil
}

func stateOf(r health.Replica) openapi.ReplicaState {
	switch {
	case !r.Stopped.IsZero():
		return openapi.ReplicaStateStopped
	case r.Lost:
		return openapi.ReplicaStateLost
	case len(r.Faults) > 0:
		return openapi.ReplicaStateDegraded
	}
	return openapi.ReplicaStateOk
}
