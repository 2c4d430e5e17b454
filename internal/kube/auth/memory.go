package auth

import (
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// How long reviews are cached, and how many of each kind. Rejections have their own cache: forged tokens must not evict
// valid ones.
const (
	grantedFor = 30 * time.Second
	refusedFor = 5 * time.Second
	maxKept    = 1000
)

// key is the hash of a review's subject.
type key [sha256.Size]byte

// hashOf returns the hash of a token and other parts of a subject, none of which contains NUL.
func hashOf(about ...string) key { return sha256.Sum256([]byte(strings.Join(about, "\x00"))) }

// memory caches reviews of one kind.
type memory[T any] struct {
	mu      sync.Mutex
	granted map[key]kept[T]
	refused map[key]kept[T]
	flights singleflight.Group
}

type kept[T any] struct {
	response T
	err      error
	until    time.Time
}

func newMemory[T any]() *memory[T] {
	return &memory[T]{granted: map[key]kept[T]{}, refused: map[key]kept[T]{}}
}

// answer returns the cached review of a subject, or calls find. Concurrent callers with the same subject share one call.
// The review is cached until the given time at most. Errors that are not rejections are not cached.
func (m *memory[T]) response(about key, now func() time.Time, until time.Time, find func() (T, error)) (T, error) {
	if known, ok := m.recall(about, now()); ok {
		return known.response, known.err
	}
	found, err, _ := m.flights.Do(string(about[:]), func() (any, error) {
		if known, ok := m.recall(about, now()); ok { // from a call that has just ended
			return known.response, known.err
		}
		response, err := find()
		m.remember(about, now(), kept[T]{response, err, until})
		return response, err
	})
	return found.(T), err
}

func (m *memory[T]) recall(about key, now time.Time) (kept[T], bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, place := range []map[key]kept[T]{m.granted, m.refused} {
		if known, ok := place[about]; ok && now.Before(known.until) {
			return known, true
		}
	}
	return kept[T]{}, false
}

func (m *memory[T]) remember(about key, now time.Time, response kept[T]) {
	place, limit := m.granted, grantedFor
	switch {
	case response.err != nil && !errors.Is(response.err, ErrTokenRefused) && !errors.Is(response.err, ErrNotAllowed):
		return
	case response.err != nil:
		place, limit = m.refused, refusedFor
	}
	if end := now.Add(limit); end.Before(response.until) {
		response.until = end
	}
	if !now.Before(response.until) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	evict(place, now)
	place[about] = response
}

// evict removes expired entries, or if there are none the one that expires first.
func evict[T any](place map[key]kept[T], now time.Time) {
	if len(place) < maxKept {
		return
	}
	var first key
	end := now.Add(grantedFor + 1)
	for about, known := range place {
		if !now.Before(known.until) {
			delete(place, about)
		} else if known.until.Before(end) {
			first, end = about, known.until
		}
	}
	if len(place) >= maxKept {
		delete(place, first)
	}
}
