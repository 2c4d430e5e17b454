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
	// keysPath is where an API server publishes the keys that sign ServiceAccounts' tokens. The address in its discovery
	// document is not used, since it may be a public one that is not reachable from here.
	keysPath = "/openid/v1/jwks"

	keysFreshFor = 5 * time.Minute  // age after which keys are read again
	keysGap      = 10 * time.Second // minimum time between reads
	maxKeys      = 100
)

// algorithms are the signature algorithms of Kubernetes and related ones. They exclude "none" and those with a shared secret.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512}

// keyring caches the keys that the cluster publishes.
type keyring struct {
	client rest.Interface
	now    func() time.Time
	log    *zap.Logger

	mu      sync.Mutex
	keys    map[string]jose.JSONWebKey // by key id; nil until first read
	read    time.Time                  // when keys were last read
	tried   time.Time                  // when the last read began
	reading chan struct{}              // closed when the read under way ends; nil if there is none
	failing bool
}

// find returns the key with an id. readable reports whether the cluster's keys are known at all. An unknown id causes a read
// of the keys, at most once per keysGap, which callers share.
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

// refresh reads the keys. If that fails the known ones stay valid, since every token is also reviewed by Kubernetes.
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
		k.log.Warn("cannot read the keys of ServiceAccounts' tokens; tokens are sent to Kubernetes unchecked", zap.Error(err), zap.Bool("old_keys", k.keys != nil))
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
		// A key of an unsupported type must not hide the others.
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
