package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/watchbill/watchbill/internal/fault"
)

// asking returns a Reviewer whose API server publishes the test's key and otherwise responds with answer.
func asking(t *testing.T, answer answering) *Reviewer {
	t.Helper()
	return askingAll(t, func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == keysPath {
			return publish(ours), nil
		}
		return answer(r)
	})
}

// askingAll returns a Reviewer whose API server responds with answer.
func askingAll(t *testing.T, answer answering) *Reviewer {
	t.Helper()
	config := &rest.Config{Host: "http://kubernetes.test", Transport: answer, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
	r, err := New(Options{Config: config, Audience: audience, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func jsonAnswer(status int, body any) *http.Response {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(b))),
	}
}

func review(status authenticationv1.TokenReviewStatus) *http.Response {
	answer := authenticationv1.TokenReview{Status: status}
	answer.APIVersion, answer.Kind = "authentication.k8s.io/v1", "TokenReview"
	return jsonAnswer(http.StatusCreated, answer)
}

func known(user string, audiences ...string) authenticationv1.TokenReviewStatus {
	return authenticationv1.TokenReviewStatus{
		Authenticated: true, Audiences: audiences,
		User: authenticationv1.UserInfo{
			Username: user, UID: "u1", Groups: []string{"g1", "g2"}, Extra: map[string]authenticationv1.ExtraValue{"node": {"n1", "n2"}},
		},
	}
}

const payload = `{"iss":"kubernetes","sub":"system:serviceaccount:fleet:reporter","aud":["watchbill"],"exp":1e300}`

// Keys of clusters, and a token signed by the first.
var (
	ours, theirs = newSigner("ours"), newSigner("theirs")
	goodLooking  = ours.sign(payload)
)

// Responses that a current API server does not send, but an older one or one with a webhook might.
func TestUntrustedReviews(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status  authenticationv1.TokenReviewStatus
		refusal string // empty if accepted
	}{
		"a ServiceAccount":        {known("system:serviceaccount:fleet:reporter", "other", audience), ""},
		"no audience":             {known("system:serviceaccount:fleet:reporter"), `not confirm that the token is for the audience "watchbill"`},
		"another audience":        {known("system:serviceaccount:fleet:reporter", "other"), "not confirm"},
		"not authenticated":       {authenticationv1.TokenReviewStatus{Audiences: []string{audience}, User: known("system:serviceaccount:fleet:reporter").User}, "does not accept"},
		"an error":                {authenticationv1.TokenReviewStatus{Error: "invalid bearer token"}, "does not accept"},
		"a person":                {known("jane", audience), "not one of a Kubernetes ServiceAccount"},
		"a node":                  {known("system:node:n1", audience), "not one of a Kubernetes ServiceAccount"},
		"no name":                 {known("system:serviceaccount:fleet", audience), "not one of a Kubernetes ServiceAccount"},
		"an empty name":           {known("system:serviceaccount:fleet:", audience), "not one of a Kubernetes ServiceAccount"},
		"an empty namespace":      {known("system:serviceaccount::reporter", audience), "not one of a Kubernetes ServiceAccount"},
		"more than a name":        {known("system:serviceaccount:fleet:reporter:x", audience), "not one of a Kubernetes ServiceAccount"},
		"a namespace that is not": {known("system:serviceaccount:Fleet/x:reporter", audience), "not one of a Kubernetes ServiceAccount"},
	} {
		r := asking(t, func(*http.Request) (*http.Response, error) { return review(tt.status), nil })
		namespace, account, err := r.Account(t.Context(), remote, goodLooking)
		if tt.refusal != "" {
			if refuses(t, err, ErrTokenRefused, tt.refusal, goodLooking); t.Failed() {
				t.Fatal(name)
			}
			continue
		}
		if err != nil || namespace != "fleet" || account != "reporter" {
			t.Errorf("%s: got %s/%s, %v", name, namespace, account, err)
		}
	}
}

func TestReviewPassesAccountDetails(t *testing.T) {
	t.Parallel()
	var got authorizationv1.SubjectAccessReview
	for name, tt := range map[string]struct {
		status  authorizationv1.SubjectAccessReviewStatus
		allowed bool
	}{
		"allowed":            {authorizationv1.SubjectAccessReviewStatus{Allowed: true}, true},
		"not allowed":        {authorizationv1.SubjectAccessReviewStatus{}, false},
		"allowed and denied": {authorizationv1.SubjectAccessReviewStatus{Allowed: true, Denied: true}, false},
	} {
		r := asking(t, func(req *http.Request) (*http.Response, error) {
			if strings.HasSuffix(req.URL.Path, "tokenreviews") {
				return review(known("system:serviceaccount:fleet:reporter", audience)), nil
			}
			if err := json.NewDecoder(req.Body).Decode(&got); err != nil {
				return nil, err
			}
			answer := got
			answer.Status = tt.status
			return jsonAnswer(http.StatusCreated, answer), nil
		})
		if err := r.Allow(t.Context(), remote, goodLooking, "get", "other"); (err == nil) != tt.allowed {
			t.Errorf("%s: got %v", name, err)
		}
	}
	spec := fmt.Sprintf("%s %s %v %v %+v", got.Spec.User, got.Spec.UID, got.Spec.Groups, got.Spec.Extra, *got.Spec.ResourceAttributes)
	want := fmt.Sprintf("system:serviceaccount:fleet:reporter u1 [g1 g2] map[node:[n1 n2]] %+v", authorizationv1.ResourceAttributes{
		Namespace: "other", Verb: "get", Group: "monitoring.watchbill.dev", Resource: "monitoringreports", Subresource: "run",
	})
	if spec != want {
		t.Errorf("got  %s\nwant %s", spec, want)
	}
}

func TestKubernetesOutage(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]answering{
		"unreachable": func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") },
		"broken": func(*http.Request) (*http.Response, error) {
			return jsonAnswer(http.StatusInternalServerError, nil), nil
		},
		"overloaded":   func(*http.Request) (*http.Response, error) { return jsonAnswer(http.StatusTooManyRequests, nil), nil },
		"nonsense":     func(*http.Request) (*http.Response, error) { return jsonAnswer(http.StatusOK, "x"), nil },
		"silent":       func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
		"unauthorized": func(*http.Request) (*http.Response, error) { return jsonAnswer(http.StatusUnauthorized, nil), nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int64
				r := asking(t, func(req *http.Request) (*http.Response, error) { asked.Add(1); return answer(req) })
				start := time.Now()
				_, _, err := r.Account(t.Context(), remote, goodLooking)
				refuses(t, err, fault.ErrUnavailable, "Kubernetes cannot be reached", goodLooking)
				if took := time.Since(start); took > askWithin {
					t.Errorf("it took %s", took)
				}
				before := asked.Load()
				refuses(t, r.Allow(t.Context(), remote, goodLooking, "get", "fleet"), fault.ErrUnavailable, "", goodLooking)
				if asked.Load() == before {
					t.Error("the second question was served from memory")
				}
			})
		})
	}
}

func TestConcurrentCallersShareOneReview(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const askers = 50
		var asked atomic.Int64
		r := asking(t, func(*http.Request) (*http.Response, error) {
			asked.Add(1)
			time.Sleep(time.Second) // in the bubble's time
			return review(known("system:serviceaccount:fleet:reporter", audience)), nil
		})
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		for i := range askers {
			ctx := t.Context()
			if i == 0 {
				ctx = impatient // the caller that began the review leaves: the others still get its result
			}
			all.Go(func() {
				if namespace, _, err := r.Account(ctx, remote, goodLooking); namespace != "fleet" {
					t.Errorf("got %q, %v", namespace, err)
				}
			})
			if i == 0 {
				synctest.Wait()
			}
		}
		all.Wait()
		if got := asked.Load(); got != 1 {
			t.Errorf("want one review for %d askers, got %d", askers, got)
		}
	})
}

// Invalid tokens do not evict valid ones.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	m := newMemory[int]()
	now := time.Now()
	remember := func(token string, at time.Time, err error) {
		m.remember(hashOf(token), at, kept[int]{1, err, at.Add(time.Hour)})
	}
	remember("good", now, nil)
	for i := range 3 * maxKept {
		remember(fmt.Sprint(i), now.Add(time.Duration(i)*time.Microsecond), ErrTokenRefused)
	}
	remember("last", now, ErrTokenRefused)
	if len(m.refused) != maxKept {
		t.Errorf("want %d refused ones, got %d", maxKept, len(m.refused))
	}
	for token, want := range map[string]bool{"good": true, "last": true, "0": false, fmt.Sprint(3*maxKept - 1): true} {
		if _, ok := m.recall(hashOf(token), now); ok != want {
			t.Errorf("%s: want it remembered %v, got %v", token, want, ok)
		}
	}
	for i := range 3 * maxKept {
		remember(fmt.Sprint("good ", i), now, nil)
	}
	if len(m.granted) != maxKept {
		t.Errorf("want %d granted ones, got %d", maxKept, len(m.granted))
	}
	remember("later", now.Add(grantedFor), nil)
	if len(m.granted) != 1 {
		t.Errorf("once all are old: want only the new one, got %d", len(m.granted))
	}
	remember("away", now, ErrUnavailable)
	if _, ok := m.recall(hashOf("away"), now); ok {
		t.Error("what could not be found out is remembered")
	}
}
