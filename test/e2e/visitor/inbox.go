package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/watchbill/watchbill/test/e2e/visit"
)

// maxDeliveries limits a box.
const maxDeliveries = 1000

// inbox receives requests of webhooks into named boxes.
type inbox struct {
	mu      sync.Mutex
	boxes   map[string][]visit.Delivery
	answers map[string]int // status codes, other than 200
}

func newInbox() *inbox {
	return &inbox{boxes: map[string][]visit.Delivery{}, answers: map[string]int{}}
}

func (i *inbox) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	box := r.PathValue("box")
	i.mu.Lock()
	defer i.mu.Unlock()
	status, set := i.answers[box]
	if !set {
		status = http.StatusOK
	}
	if len(i.boxes[box]) < maxDeliveries {
		i.boxes[box] = append(i.boxes[box], visit.Delivery{
			At: time.Now(), ContentType: r.Header.Get("Content-Type"), UserAgent: r.UserAgent(), Body: string(body), Answer: status,
		})
	}
	w.WriteHeader(status)
}

func (i *inbox) show(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	deliveries := append([]visit.Delivery{}, i.boxes[r.PathValue("box")]...)
	i.mu.Unlock()
	answer(w, deliveries)
}

// setAnswer sets the status of responses from now on.
func (i *inbox) setAnswer(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16))
	status, parseErr := strconv.Atoi(string(text))
	if err != nil || parseErr != nil || status < 200 || status > 599 {
		http.Error(w, "a status code is wanted", http.StatusBadRequest)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answers[r.PathValue("box")] = status
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		return // the test has disconnected
	}
}
