package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/test/rig"
)

var kubernetesFlood = experiment{
	name: "kube_flood", quick: true,
	what: "made-up ServiceAccount tokens by the thousand while Pods make reports",
	strike: func(ctx context.Context, t *trial) error {
		now, err := floodKubernetes(ctx, t, t.binary, "now")
		if err != nil {
			return err
		}
		t.must("kube_flood_honest_failed", now.failed, "requests")
		t.must("kube_flood_reviews", now.reviews, "requests")
		t.set("kube_flood_tokens", float64(now.sent), "requests")
		if t.quick {
			return nil
		}
		baseline, err := rig.BuildBaseline(ctx, t.dir)
		if err != nil {
			return err
		}
		before, err := floodKubernetes(ctx, t, baseline, "before")
		if err != nil {
			return err
		}
		t.set("kube_flood_honest_failed_before", float64(before.failed), "requests")
		t.set("kube_flood_reviews_before", float64(before.reviews), "requests")
		return nil
	},
}

// flooded holds the results of a flood of forged tokens.
type flooded struct {
	sent    int // forged tokens
	reviews int // of forged tokens that reached the API server
	failed  int // failed requests with a valid token
}

const floodConnections = 400

// floodKubernetes runs a replica with an API server that takes 5 ms for a review, and sends it forged tokens on many
// connections and, periodically, a valid token that is new.
func floodKubernetes(ctx context.Context, t *trial, binary, name string) (found flooded, err error) {
	api, err := newKubernetes()
	if err != nil {
		return found, err
	}
	defer api.server.Close()
	config := filepath.Join(t.folder, "kubeconfig-"+name)
	if err := os.WriteFile(config, []byte("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: k, cluster: {server: "+api.server.URL+"}}]\n"+
		"contexts: [{name: c, context: {cluster: k, user: u}}]\nusers: [{name: u, user: {token: t}}]\n"), 0o600); err != nil {
		return found, err
	}
	database, err := t.postgres.CreateDatabase(ctx, "chaos_"+t.name+"_"+name)
	if err != nil {
		return found, err
	}
	server, err := rig.Serve(ctx, rig.ServeOptions{
		Binary: binary, DatabaseURL: database, Dir: t.folder, Name: "kubernetes-" + name,
		Args: []string{"--kubernetes-auth", "--kubeconfig", config},
	})
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()

	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: floodConnections}, Timeout: 15 * time.Second}
	defer client.CloseIdleConnections()
	report := func(ctx context.Context, token string) int {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/api/reports", strings.NewReader(`{"hours": 1, "sections": ["summary"]}`))
		if err != nil {
			return 0
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Content-Type", "application/json")
		response, err := client.Do(request)
		if err != nil {
			return 0
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	flooding, stop := context.WithTimeout(ctx, time.Duration(t.repeat(30, 4))*time.Second)
	defer stop()
	var sent atomic.Int64
	var flood sync.WaitGroup
	for i := range floodConnections {
		flood.Go(func() {
			for n := 0; flooding.Err() == nil; n++ {
				report(flooding, api.madeUp(fmt.Sprint(i, "-", n)))
				sent.Add(1)
			}
		})
	}
	good := 0
	for ; flooding.Err() == nil; good++ {
		if status := report(ctx, api.good(fmt.Sprint("good-", good))); status != http.StatusCreated {
			found.failed++
			t.logf("%s: %s: a good token returned %d", t.name, name, status)
		}
		pause.For(flooding, 500*time.Millisecond)
	}
	flood.Wait()
	found.sent, found.reviews = int(sent.Load()), int(api.made.Load())
	t.logf("%s: %s: %d made-up tokens, %d of them reviewed; of %d requests with good tokens %d failed", t.name, name, found.sent, found.reviews, good, found.failed)
	return found, nil
}

// kubernetes is a fake API server with its own key. Its reviews accept the tokens that it signed.
type kubernetes struct {
	server *httptest.Server
	key    *ecdsa.PrivateKey
	signer jose.Signer
	made   atomic.Int64 // reviews of forged tokens
}

const kubernetesKey = "cluster-key"

func newKubernetes() (*kubernetes, error) {
	k := &kubernetes{}
	var err error
	if k.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	k.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: k.key, KeyID: kubernetesKey}}, nil)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /openid/v1/jwks", func(w http.ResponseWriter, _ *http.Request) {
		writeObject(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k.key.Public(), KeyID: kubernetesKey}}})
	})
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/tokenreviews", k.review)
	mux.HandleFunc("POST /apis/authorization.k8s.io/v1/subjectaccessreviews", func(w http.ResponseWriter, _ *http.Request) {
		writeObject(w, http.StatusCreated, map[string]any{
			"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": map[string]any{"allowed": true},
		})
	})
	k.server = httptest.NewServer(mux)
	return k, nil
}

// tokenSyntax matches the token in a review, which may be protobuf.
var tokenSyntax = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`)

func (k *kubernetes) review(w http.ResponseWriter, r *http.Request) {
	time.Sleep(5 * time.Millisecond) // as a real server takes
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	status := map[string]any{"authenticated": false}
	if err == nil && k.signed(string(tokenSyntax.Find(body))) {
		status = map[string]any{
			"authenticated": true, "audiences": []string{"watchbill"},
			"user": map[string]any{"username": "system:serviceaccount:fleet:watchbill-report"},
		}
	} else {
		k.made.Add(1)
	}
	writeObject(w, http.StatusCreated, map[string]any{"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status})
}

func (k *kubernetes) signed(token string) bool {
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return false
	}
	_, err = parsed.Verify(k.key.Public())
	return err == nil
}

// good returns a token signed by the cluster.
func (k *kubernetes) good(id string) string {
	signed, err := k.signer.Sign([]byte(claimsOf(id)))
	if err != nil {
		return ""
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		return ""
	}
	return token
}

// madeUp returns a token that names the cluster's key but has the signature of another token.
func (k *kubernetes) madeUp(id string) string {
	parts, other := strings.Split(k.good(id), "."), strings.Split(k.good(id+"-other"), ".")
	if len(parts) != 3 || len(other) != 3 {
		return ""
	}
	return parts[0] + "." + parts[1] + "." + other[2]
}

func claimsOf(id string) string {
	return `{"iss":"https://kubernetes.test","sub":"system:serviceaccount:fleet:watchbill-report","aud":["watchbill"],"exp":9999999999,"jti":"` + id + `"}`
}

func writeObject(w http.ResponseWriter, status int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object) // the client may have disconnected
}
