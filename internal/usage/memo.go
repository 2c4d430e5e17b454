package usage

import (
	"maps"
	"sync"
	"sync/atomic"
)

const (
	maxName     = 200  // bytes of a name that is looked at
	maxRemember = 4096 // names
	slots       = 1024
)

// memo remembers what names say. Most look-ups end in a slot, which a few bytes of the name pick: every attribute of every
// call is looked up, and hashing all of a name would take longer than all else that is done with most of them
// (BenchmarkSpan). Names that share a slot are looked up in a map, which a new name copies until it is full. No look-up
// takes a lock.
type memo struct {
	classify func(string) Name
	slots    [slots]atomic.Pointer[remembered]
	known    atomic.Pointer[map[string]Name]
	learning sync.Mutex
}

type remembered struct {
	text string
	name Name
}

var (
	attributes = memo{classify: classifyAttribute}
	members    = memo{classify: classifyMember}
)

// Attribute returns what the name of an attribute says.
func Attribute(name string) Name {
	slot := &attributes.slots[slotOf(name)]
	if r := slot.Load(); r != nil && r.text == name {
		return r.name
	}
	return attributes.lookUp(name, slot)
}

// member returns what the path of a member of an object says.
func member(path []byte) Name {
	if known := members.known.Load(); known != nil {
		if found, ok := (*known)[string(path)]; ok {
			return found
		}
	}
	return members.learn(string(path))
}

func slotOf(name string) uint {
	n := uint(len(name))
	if n < 4 {
		return n
	}
	return (n*131 + uint(name[n-1])*61 + uint(name[n/2])*29 + uint(name[n/4])*7 + uint(name[n-4])*3) % slots
}

// lookUp looks for a name that its slot does not have. The slot is the name's from then on.
func (m *memo) lookUp(name string, slot *atomic.Pointer[remembered]) Name {
	if known := m.known.Load(); known != nil {
		if found, ok := (*known)[name]; ok {
			if slot.Load() == nil {
				slot.Store(&remembered{name, found})
			}
			return found
		}
	}
	found := m.learn(name)
	if len(name) <= maxName && slot.Load() == nil {
		slot.Store(&remembered{name, found})
	}
	return found
}

func (m *memo) learn(name string) Name {
	found := m.classify(name)
	if len(name) > maxName {
		return found
	}
	m.learning.Lock()
	defer m.learning.Unlock()
	known := m.known.Load()
	if known != nil && len(*known) >= maxRemember {
		return found
	}
	next := map[string]Name{}
	if known != nil {
		next = maps.Clone(*known)
	}
	next[name] = found
	m.known.Store(&next)
	return found
}
