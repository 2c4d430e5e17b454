package usage

import (
	"maps"
	"sync"
	"sync/atomic"
)

const (
	maxName     = 200  // bytes of a name that is looked at
	maxRemember = 4096 // names
)

// memo remembers what names say. A look-up takes no lock; a new name copies the map, until it is full.
type memo struct {
	classify func(string) Name
	known    atomic.Pointer[map[string]Name]
	learning sync.Mutex
}

var (
	attributes = memo{classify: classifyAttribute}
	members    = memo{classify: classifyMember}
)

// Attribute returns what the name of an attribute says.
func Attribute(name string) Name {
	if known := attributes.known.Load(); known != nil {
		if found, ok := (*known)[name]; ok {
			return found
		}
	}
	return attributes.learn(name)
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
