// Package memo caches the results of a function of recurring names.
package memo

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	// MaxName is the maximum length in bytes of a cached name.
	MaxName     = 200
	maxRemember = 4096 // names
	slots       = 1024
)

// Memo caches the results of a function of names. Most look-ups end in a slot, chosen by a few bytes of the name:
// hashing the whole name would take longer than the rest of the work on most names (BenchmarkSpan in package usage).
// Names that share a slot are looked up in a map, which is copied for each new name until it is full. Look-ups take no
// lock.
type Memo[T any] struct {
	of       func(name string) T
	slots    [slots]atomic.Pointer[remembered[T]]
	known    atomic.Pointer[map[string]T]
	learning sync.Mutex
}

type remembered[T any] struct {
	name   string
	result T
}

// New returns a Memo of a function, which must always return the same result for a name.
func New[T any](of func(name string) T) *Memo[T] { return &Memo[T]{of: of} }

// Get returns the function's result for a name.
func (m *Memo[T]) Get(name string) T {
	slot := &m.slots[Hash(name)%slots]
	if r := slot.Load(); r != nil && r.name == name {
		return r.result
	}
	return m.lookUp(name, slot)
}

// GetBytes is like Get for a name in bytes.
func (m *Memo[T]) GetBytes(name []byte) T {
	if known := m.known.Load(); known != nil {
		if found, ok := (*known)[string(name)]; ok {
			return found
		}
	}
	return m.learn(string(name))
}

// Hash returns a number computed from a few bytes of a name.
func Hash(name string) uint {
	n := uint(len(name))
	if n < 4 {
		return n
	}
	return n*131 + uint(name[n-1])*61 + uint(name[n/2])*29 + uint(name[n/4])*7 + uint(name[n-4])*3
}

// lookUp looks up a name that is not in its slot, and puts it there if the slot is empty.
func (m *Memo[T]) lookUp(name string, slot *atomic.Pointer[remembered[T]]) T {
	var found T
	ok := false
	if known := m.known.Load(); known != nil {
		found, ok = (*known)[name]
	}
	if !ok {
		found = m.learn(name)
	}
	if len(name) <= MaxName && slot.Load() == nil {
		slot.Store(&remembered[T]{strings.Clone(name), found})
	}
	return found
}

func (m *Memo[T]) learn(name string) T {
	found := m.of(name)
	if len(name) > MaxName {
		return found
	}
	m.learning.Lock()
	defer m.learning.Unlock()
	known := m.known.Load()
	if known != nil && len(*known) >= maxRemember {
		return found
	}
	next := map[string]T{}
	if known != nil {
		next = maps.Clone(*known)
	}
	next[strings.Clone(name)] = found // name may be a substring of a large string
	m.known.Store(&next)
	return found
}
