package agent_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
)

const (
	agentID = "edge-1"
	token   = "the-token"
)

// fakeServer implements the API in memory and without jitter. It is a RoundTripper without a network, so that it works in a
// synctest bubble.
type fakeServer struct {
	// fault, if set, may answer a request in place of the server. It is called without a lock held.
	fault func(*http.Request) (*reply, error)
	// lost, if set, reports whether the connection breaks after the request took effect.
	lost func(*http.Request) bool

	mu       sync.Mutex
	interval string
	deploys  []*fakeDeployment
	changed  chan struct{} // closed when deployments change
	seen     []seenRequest
}

// reply is a response in place of the server's.
type reply struct {
	status int
	header http.Header
	body   io.Reader
}

type fakeDeployment struct {
	openapi.PendingDeployment
	status     string
	claim      string
	expires    time.Time
	reports    []openapi.StatusReport // accepted reports
	reportedAt []time.Time
	log        map[int32]string
	chunks     []int // sizes, in order of arrival
	chunkAt    []time.Time
	maxLog     int // zero is no limit
}

type seenRequest struct {
	at     time.Time
	method string
	path   string
	query  string
	header http.Header
}

func newFakeServer() *fakeServer {
	return &fakeServer{interval: "10", changed: make(chan struct{})}
}

func (s *fakeServer) add(id string, lease time.Duration) *fakeDeployment {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &fakeDeployment{status: "pending", log: map[int32]string{}}
	d.PendingDeployment = openapi.PendingDeployment{
		ID: id, Name: "deploy " + id, Spec: json.RawMessage(`{"image":"app:1"}`), Attempt: 1,
		LeaseSeconds: int32(lease / time.Second), CreatedAt: time.Now(),
	}
	s.deploys = append(s.deploys, d)
	s.notify()
	return d
}

func (s *fakeServer) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// RoundTrip handles a request in the caller's goroutine.
func (s *fakeServer) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.seen = append(s.seen, seenRequest{time.Now(), r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Clone()})
	s.mu.Unlock()
	if s.fault != nil {
		instead, err := s.fault(r)
		if err != nil {
			return nil, err
		}
		if instead != nil {
			return &http.Response{StatusCode: instead.status, Header: instead.header, Body: io.NopCloser(instead.body), Request: r}, nil
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if s.lost != nil && s.lost(r) {
		return nil, errNetwork
	}
	return w.Result(), nil
}

func (s *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+token {
		refuse(w, http.StatusUnauthorized, "unauthorized", nil)
		return
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/deployments/"), "/")
	switch {
	case len(path) == 2 && path[0] == "pending":
		s.poll(w, r)
	case len(path) == 2 && path[1] == "status":
		s.report(w, r, path[0])
	case len(path) == 2 && path[1] == "logs":
		s.appendLog(w, r, path[0])
	default:
		refuse(w, http.StatusNotFound, "not_found", nil)
	}
}

func (s *fakeServer) poll(w http.ResponseWriter, r *http.Request) {
	wait, _ := time.ParseDuration(r.URL.Query().Get("wait"))
	held := time.NewTimer(wait)
	defer held.Stop()
	for waiting := wait > 0; ; {
		pending, etag, changed := s.pending()
		w.Header().Set("Watchbill-Poll-Interval", s.interval)
		w.Header().Set("ETag", etag)
		match := r.Header.Get("If-None-Match")
		switch {
		case waiting && (match == etag || match == "" && len(pending) == 0):
			select {
			case <-changed:
			case <-held.C:
				waiting = false
			case <-r.Context().Done():
				return
			}
		case match == etag:
			w.WriteHeader(http.StatusNotModified)
			return
		default:
			answer(w, openapi.PendingDeployments{AgentID: agentID, Deployments: pending, PollIntervalSeconds: 10})
			return
		}
	}
}

func (s *fakeServer) pending() ([]openapi.PendingDeployment, string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pending := []openapi.PendingDeployment{}
	etag := ""
	for _, d := range s.deploys {
		if d.status == "pending" {
			pending = append(pending, d.PendingDeployment)
			etag += fmt.Sprintf("%s.%d;", d.ID, d.Attempt)
		}
	}
	return pending, `W/"` + etag + `"`, s.changed
}

func (s *fakeServer) find(id string) *fakeDeployment {
	i := slices.IndexFunc(s.deploys, func(d *fakeDeployment) bool { return d.ID == id })
	if i < 0 {
		return nil
	}
	return s.deploys[i]
}

func (s *fakeServer) report(w http.ResponseWriter, r *http.Request, id string) {
	var got openapi.StatusReport
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		refuse(w, http.StatusBadRequest, "malformed", nil)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.find(id)
	if d == nil {
		refuse(w, http.StatusNotFound, "not_found", nil)
		return
	}
	claims := d.status == "pending" && got.Status == openapi.StatusReportStatusRunning
	if got.Attempt != d.Attempt || !claims && (d.status != "running" || d.claim != got.Claim) {
		refuse(w, http.StatusConflict, "stale_attempt", nil)
		return
	}
	d.claim, d.status = got.Claim, string(got.Status)
	d.expires = time.Now().Add(time.Duration(d.LeaseSeconds) * time.Second)
	d.reports = append(d.reports, got)
	d.reportedAt = append(d.reportedAt, time.Now())
	s.notify()
	answer(w, openapi.DeploymentState{ID: id, Attempt: d.Attempt, Status: openapi.DeploymentStatus(d.status), LeaseExpiresAt: d.expires})
}

func (s *fakeServer) appendLog(w http.ResponseWriter, r *http.Request, id string) {
	body, _ := io.ReadAll(r.Body)
	attempt, _ := strconv.Atoi(r.URL.Query().Get("attempt"))
	offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.find(id)
	n := int32(attempt)
	switch {
	case d == nil || n != d.Attempt || d.status != "running":
		refuse(w, http.StatusConflict, "stale_attempt", nil)
		return
	case len(body) > 256<<10 || d.maxLog > 0 && offset+len(body) > d.maxLog:
		refuse(w, http.StatusRequestEntityTooLarge, "log_full", nil)
		return
	case offset > len(d.log[n]):
		next := int64(len(d.log[n]))
		refuse(w, http.StatusConflict, "log_gap", &next)
		return
	}
	if end := offset + len(body); end > len(d.log[n]) {
		d.log[n] = d.log[n][:offset] + string(body)
		d.chunks = append(d.chunks, len(body))
		d.chunkAt = append(d.chunkAt, time.Now())
	}
	answer(w, openapi.LogPosition{NextOffset: int64(len(d.log[n]))})
}

// set changes a deployment without the agent.
func (s *fakeServer) set(d *fakeDeployment, status string, attempt int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.status, d.Attempt = status, attempt
	s.notify()
}

// requests returns the requests with a method and the end of a path.
func (s *fakeServer) requests(method, suffix string) []seenRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []seenRequest
	for _, r := range s.seen {
		if r.method == method && strings.HasSuffix(r.path, suffix) {
			found = append(found, r)
		}
	}
	return found
}

func (s *fakeServer) polls() []seenRequest { return s.requests(http.MethodGet, "/pending/"+agentID) }

// last returns the last accepted report.
func (s *fakeServer) last(d *fakeDeployment) openapi.StatusReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(d.reports) == 0 {
		return openapi.StatusReport{}
	}
	return d.reports[len(d.reports)-1]
}

// logOf returns the first attempt's log.
func (s *fakeServer) logOf(d *fakeDeployment) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return d.log[1]
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, code string, next *int64) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(openapi.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: int32(status), Code: code, Detail: code, NextOffset: next,
	})
}
