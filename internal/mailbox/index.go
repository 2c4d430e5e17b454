package mailbox

// index finds agents by a hash. It is a table with open addressing and linear probing, in which an agent takes a pointer and 32 bits
// of its hash: half of what it takes in a map, with its key, and there may be a million. The zero value is empty.
type index struct {
	hashes []uint32 // 0: the place is free
	agents []*Agent
	used   int
}

const (
	smallest = 8
	fullest  = 0.8 // share of places in use, beyond which the table grows
	growth   = 1.5
)

// home is the place where an agent of that hash is looked for first. Higher hashes have later homes.
func (x *index) home(hash uint32) int { return int(uint64(hash) * uint64(len(x.hashes)) >> 32) }

func (x *index) next(at int) int {
	if at++; at == len(x.hashes) {
		return 0
	}
	return at
}

// taken is a hash as it is kept.
func taken(hash uint32) uint32 { return max(hash, 1) }

// search returns the place of the agent that is meant, or the free one where it would be.
func (x *index) search(hash uint32, meant func(*Agent) bool) (at int, found bool) {
	hash = taken(hash)
	for at = x.home(hash); x.hashes[at] != 0; at = x.next(at) {
		if x.hashes[at] == hash && meant(x.agents[at]) {
			return at, true
		}
	}
	return at, false
}

func (x *index) find(hash uint32, meant func(*Agent) bool) *Agent {
	if x.used == 0 {
		return nil
	}
	if at, found := x.search(hash, meant); found {
		return x.agents[at]
	}
	return nil
}

// put has a in the place of the agent that is meant, which it returns, if there is one.
func (x *index) put(hash uint32, a *Agent, meant func(*Agent) bool) (old *Agent) {
	if float64(x.used+1) > fullest*float64(len(x.hashes)) {
		x.grow()
	}
	at, found := x.search(hash, meant)
	if found {
		old = x.agents[at]
	} else {
		x.used++
	}
	x.hashes[at], x.agents[at] = taken(hash), a
	return old
}

func (x *index) grow() {
	was := *x
	places := max(int(growth*float64(len(was.hashes))), smallest)
	*x = index{hashes: make([]uint32, places), agents: make([]*Agent, places), used: was.used}
	for i, hash := range was.hashes {
		if hash == 0 {
			continue
		}
		at := x.home(hash)
		for x.hashes[at] != 0 {
			at = x.next(at)
		}
		x.hashes[at], x.agents[at] = hash, was.agents[i]
	}
}

// remove takes the agent that is meant out and returns it. Those behind it move up, so that no search ends before them.
func (x *index) remove(hash uint32, meant func(*Agent) bool) *Agent {
	if x.used == 0 {
		return nil
	}
	hole, found := x.search(hash, meant)
	if !found {
		return nil
	}
	old := x.agents[hole]
	for at := x.next(hole); x.hashes[at] != 0; at = x.next(at) {
		if x.distance(x.home(x.hashes[at]), at) >= x.distance(hole, at) {
			x.hashes[hole], x.agents[hole] = x.hashes[at], x.agents[at]
			hole = at
		}
	}
	x.hashes[hole], x.agents[hole] = 0, nil
	x.used--
	return old
}

// distance is how far it is from one place on to another.
func (x *index) distance(from, to int) int {
	if from > to {
		return to + len(x.hashes) - from
	}
	return to - from
}

func (x *index) each(do func(*Agent)) {
	for _, a := range x.agents {
		if a != nil {
			do(a)
		}
	}
}
