// Package memo caches what a function returns for names that recur.
package memo

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	// MaxName is the length in bytes from which on a name is not remembered.
	MaxName     = 200
	maxRemember = 4096 // names
	slots       = 1024
)

// Memo remembers the results of a function of names. Most look-ups end in a slot, which a few bytes of the name pick: hashing
// all of a name would take longer than all else that is done with most of them (BenchmarkSpan in package usage). Names that
// share a slot are looked up in a map, which a new name copies until it is full. No look-up takes a lock.
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

// New returns a Memo of a function, which must return the same whenever it is called.
func New[T any](of func(name string) T) *Memo[T] { return &Memo[T]{of: of} }

// Get returns what the function returns for a name.
func (m *Memo[T]) Get(name string) T {
	slot := &m.slots[Hash(name)%slots]
	if r := slot.Load(); r != nil && r.name == name {
		return r.result
	}
	return m.lookUp(name, slot)
}

// GetBytes is Get for a name that is no string yet.
func (m *Memo[T]) GetBytes(name []byte) T {
	if known := m.known.Load(); known != nil {
		if found, ok := (*known)[string(name)]; ok {
			return found
		}
	}
	return m.learn(string(name))
}

// Hash is a number that few names share, made of a few of their bytes.
func Hash(name string) uint {
	n := uint(len(name))
	if n < 4 {
		return n
	}
	return n*131 + uint(name[n-1])*61 + uint(name[n/2])*29 + uint(name[n/4])*7 + uint(name[n-4])*3
}

// lookUp looks for a name that its slot does not have. The slot is the name's from then on.
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
	next[strings.Clone(name)] = found // which may be a part of something large
	m.known.Store(&next)
	return found
}
