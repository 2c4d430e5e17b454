package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"
	"k8s.io/client-go/rest"
)

const (
	// keysPath is where an API server publishes the keys that ServiceAccounts' tokens are signed with. It is asked there
	// and not where its discovery document points, which may be a public address that this service cannot reach.
	keysPath = "/openid/v1/jwks"

	keysFreshFor = 5 * time.Minute  // after which they are read again
	keysGap      = 10 * time.Second // between two reads, however many unknown keys are named
	maxKeys      = 100
)

// algorithms are those that Kubernetes signs tokens with, and their siblings. Neither "none" nor one with a shared secret is
// among them.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512}

// keyring caches the keys that the cluster publishes.
type keyring struct {
	client rest.Interface
	now    func() time.Time
	log    *zap.Logger

	mu      sync.Mutex
	keys    map[string]jose.JSONWebKey // by key id; nil: they were never read
	read    time.Time                  // when keys were
	tried   time.Time                  // when somebody began to read them last
	reading chan struct{}              // closed when that ends; nil: nobody reads
	failing bool
}

// find returns the key of an id. readable reports whether the cluster's keys are known at all. A key that is not known has
// them read again, once every keysGap; callers share that read.
func (k *keyring) find(ctx context.Context, id string) (key jose.JSONWebKey, found, readable bool) {
	k.mu.Lock()
	key, found = k.keys[id]
	now := k.now()
	due := now.Sub(k.tried) >= keysGap || now.Before(k.tried)
	reading := k.reading
	switch {
	case found && (now.Sub(k.read) < keysFreshFor || !due || reading != nil), !due && reading == nil:
		defer k.mu.Unlock()
		return key, found, k.keys != nil
	case reading == nil:
		k.tried, k.reading = now, make(chan struct{})
		k.mu.Unlock()
		k.refresh(ctx)
	default:
		k.mu.Unlock()
		select {
		case <-reading:
		case <-ctx.Done():
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	key, found = k.keys[id]
	return key, found, k.keys != nil
}

// refresh reads the keys. When that fails those that are known stay good: Kubernetes has the last word on every token.
func (k *keyring) refresh(ctx context.Context) {
	ctx, cancel := forAll(ctx)
	defer cancel()
	keys, err := k.fetch(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.reading)
	k.reading = nil
	switch {
	case err != nil && !k.failing:
		k.log.Warn("cannot read the keys of ServiceAccounts' tokens; tokens are shown to Kubernetes unchecked", zap.Error(err), zap.Bool("old_keys", k.keys != nil))
	case err == nil && k.failing:
		k.log.Info("the keys of ServiceAccounts' tokens can be read again")
	}
	k.failing = err != nil
	if err == nil {
		k.keys, k.read = keys, k.now()
	}
}

func (k *keyring) fetch(ctx context.Context) (map[string]jose.JSONWebKey, error) {
	raw, err := k.client.Get().AbsPath(keysPath).SetHeader("Accept", "application/jwk-set+json, application/json").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("decode the keys: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the cluster publishes %d keys; the limit is %d", len(set.Keys), maxKeys)
	}
	keys := make(map[string]jose.JSONWebKey, len(set.Keys))
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		// A key of a kind that is not supported must not hide the others.
		if err := key.UnmarshalJSON(raw); err != nil || !key.Valid() || !key.IsPublic() || key.KeyID == "" {
			continue
		}
		keys[key.KeyID] = key
	}
	if len(keys) == 0 {
		return nil, errors.New("the cluster publishes no key that can be used")
	}
	return keys, nil
}
