package auth

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"

	"github.com/watchbill/watchbill/internal/fault"
)

// stub is an API server that publishes keys and accepts every token.
type stub struct {
	mu            sync.Mutex
	keys          []signer // empty: reading them is forbidden
	pause         time.Duration
	reads, review atomic.Int64
}

func (s *stub) answer(r *http.Request) (*http.Response, error) {
	if r.URL.Path == keysPath {
		s.reads.Add(1)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.keys) == 0 {
			return jsonAnswer(http.StatusForbidden, map[string]any{"kind": "Status", "apiVersion": "v1", "code": 403, "reason": "Forbidden"}), nil
		}
		return publish(s.keys...), nil
	}
	s.review.Add(1)
	time.Sleep(s.pause) // in the bubble's time
	return review(known("system:serviceaccount:fleet:reporter", audience)), nil
}

func (s *stub) rotate(keys ...signer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = keys
}

// numbered returns the payload of the ith token.
func numbered(i int) string {
	return fmt.Sprintf(`{"iss":"kubernetes","sub":"system:serviceaccount:fleet:reporter","aud":["watchbill"],"exp":1e300,"jti":"%d"}`, i)
}

func TestRotatedKeyIsLearned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &stub{keys: []signer{ours}}
		r := askingAll(t, api.answer)
		accepts := func(want bool, token string) {
			t.Helper()
			_, _, err := r.Account(t.Context(), remote, token)
			if want && err != nil {
				t.Errorf("want it accepted, got %v", err)
			}
			if !want {
				refuses(t, err, ErrTokenRefused, "a new key is known within 10s", token)
			}
		}
		accepts(true, ours.sign(numbered(1)))
		accepts(false, theirs.sign(numbered(2)))
		api.rotate(ours, theirs)
		accepts(false, theirs.sign(numbered(2)))
		accepts(true, ours.sign(numbered(3)))
		time.Sleep(keysGap)
		accepts(true, theirs.sign(numbered(2)))
		accepts(true, ours.sign(numbered(4)))
		api.rotate(theirs)
		time.Sleep(keysFreshFor)
		accepts(false, ours.sign(numbered(5)))
		accepts(true, theirs.sign(numbered(6)))
		api.rotate() // the keys are no longer published, but known ones stay valid
		time.Sleep(keysFreshFor)
		accepts(true, theirs.sign(numbered(7)))
		accepts(false, ours.sign(numbered(8)))
	})
}

// Unknown keys do not increase the reads of keys, and forged tokens cause no review.
func TestForgedTokensCostNoReview(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &stub{keys: []signer{ours}}
		r := askingAll(t, api.answer)
		for i := range 1000 {
			token := theirs.sign(numbered(i))
			if i%2 == 1 { // with a known key id
				token = resigned(goodLooking, numbered(i))
			}
			_, _, err := r.Account(t.Context(), remote, token)
			refuses(t, err, ErrTokenRefused, "", token)
			time.Sleep(10 * time.Millisecond)
		}
		if reads, reviews := api.reads.Load(), api.review.Load(); reads > 2 || reviews > 0 {
			t.Errorf("in 10 s: want at most 2 reads of the keys and no review, got %d and %d", reads, reviews)
		}
	})
}

// If the keys cannot be read, a flood from one network delays only that network.
func TestFloodWithoutKeysDelaysOthersByOneTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &stub{pause: 5 * time.Millisecond}
		r := askingAll(t, api.answer)
		var busy, served atomic.Int64
		var flood sync.WaitGroup
		for i := range 400 {
			flood.Go(func() {
				for n := range 50 {
					_, _, err := r.Account(t.Context(), fmt.Sprintf("192.0.2.66:%d", i+1), theirs.sign(numbered(1000*i+n)))
					if err == nil {
						served.Add(1)
						continue
					}
					busy.Add(1)
					refuses(t, err, ErrBusy, "try again", "")
					time.Sleep(time.Second / 20)
				}
			})
		}
		time.Sleep(time.Second)
		for i := range 20 {
			began := time.Now()
			_, _, err := r.Account(t.Context(), fmt.Sprintf("192.0.2.%d:1", i), ours.sign(numbered(-i)))
			if took := time.Since(began); err != nil || took > 200*time.Millisecond {
				t.Errorf("a client of another network waited %s and got %v", took, err)
			}
		}
		flood.Wait()
		if busy.Load() == 0 || served.Load() == 0 {
			t.Errorf("want some of the flood refused and some not, got %d and %d", busy.Load(), served.Load())
		}
	})
}

// A flood of forged tokens causes no requests to a real API server, while new valid ones are accepted.
func TestFlood(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.account(w.namespace, "reporter", "create")
	first := w.token(w.namespace, "reporter", audience)
	if err := w.Allow(t.Context(), remote, first, "create", w.namespace); err != nil {
		t.Fatal(err)
	}
	const honest = 5
	before := w.requests.tokenReviews()
	stop := time.Now().Add(3 * time.Second)
	var sent atomic.Int64
	var flood sync.WaitGroup
	for i := range 50 {
		flood.Go(func() {
			for n := 0; time.Now().Before(stop); n++ {
				token := resigned(first, strings.ReplaceAll(numbered(1_000_000*i+n), "fleet", w.namespace))
				if _, _, err := w.Account(t.Context(), remote, token); err == nil {
					t.Error("a made-up token was accepted")
				}
				sent.Add(1)
			}
		})
	}
	for range honest {
		token := w.token(w.namespace, "reporter", audience)
		if err := w.Allow(t.Context(), remote, token, "create", w.namespace); err != nil {
			t.Errorf("an honest token: %v", err)
		}
	}
	flood.Wait()
	if got := w.requests.tokenReviews() - before; got > honest || sent.Load() < 100 {
		t.Errorf("%d made-up tokens and %d honest ones: got %d reviews", sent.Load(), honest, got)
	}
}

// If the cluster does not publish its keys, every token is reviewed by Kubernetes.
func TestKeysForbidden(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.account(w.namespace, "reporter")
	token := w.token(w.namespace, "reporter", audience)
	config := rest.CopyConfig(cluster.Config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return answering(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == keysPath {
				return jsonAnswer(http.StatusForbidden, nil), nil
			}
			return next.RoundTrip(r)
		})
	})
	r := w.reviewer(config)
	if namespace, _, err := r.Account(t.Context(), remote, token); err != nil || namespace != w.namespace {
		t.Errorf("got %s, %v", namespace, err)
	}
	fake := resigned(token, payload)
	_, _, err := r.Account(t.Context(), remote, fake)
	refuses(t, err, ErrTokenRefused, "does not accept", fake)
	if got := w.requests.tokenReviews(); got != 2 {
		t.Errorf("want 2 reviews, got %d", got)
	}
}

// Any ServiceAccount may read the keys, by the built-in role system:service-account-issuer-discovery.
func TestAnyServiceAccountMayReadTheKeys(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.account(w.namespace, "watchbill")
	config := rest.AnonymousClientConfig(cluster.Config)
	config.BearerToken = w.token(w.namespace, "watchbill")
	fake := forged(payload)
	_, _, err := w.reviewer(config).Account(t.Context(), remote, fake)
	refuses(t, err, &fault.Error{Kind: fault.Forbidden, Code: "token_refused"}, "does not publish", fake)
}
