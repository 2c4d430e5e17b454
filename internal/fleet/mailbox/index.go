package mailbox

// index maps hashes to record numbers. It is a table with open addressing and linear probing that stores a record's
// number and 32 bits of its hash, and no pointers for the collector to follow. Polls of 100,000 agents are as fast with
// plain maps, but an agent then takes 224 bytes instead of 160; compare the two with
//
//	go test ./internal/fleet/mailbox -run '^$' -bench 'Lookup|Memory'
//
// The zero value is empty.
type index struct {
	places []place
	used   int
}

type place struct{ hash, number uint32 } // hash 0: free

const (
	smallest = 8
	fullest  = 0.8 // load factor beyond which the table grows
	growth   = 1.5
)

// home returns the first place to probe for a hash. It increases with the hash.
func (x *index) home(hash uint32) int { return int(uint64(hash) * uint64(len(x.places)) >> 32) }

func (x *index) next(at int) int {
	if at++; at == len(x.places) {
		return 0
	}
	return at
}

// taken returns the hash as stored, which is never 0.
func taken(hash uint32) uint32 { return max(hash, 1) }

// search returns the place of the record for which meant returns true, or the free place where it would go.
func (x *index) search(hash uint32, meant func(number uint32) bool) (at int, found bool) {
	hash = taken(hash)
	for at = x.home(hash); x.places[at].hash != 0; at = x.next(at) {
		if x.places[at].hash == hash && meant(x.places[at].number) {
			return at, true
		}
	}
	return at, false
}

func (x *index) find(hash uint32, meant func(number uint32) bool) (number uint32, found bool) {
	if x.used == 0 {
		return 0, false
	}
	at, found := x.search(hash, meant)
	return x.places[at].number, found
}

// add adds a number that is not in the table.
func (x *index) add(hash, number uint32) {
	if float64(x.used+1) > fullest*float64(len(x.places)) {
		x.grow()
	}
	x.insert(taken(hash), number)
	x.used++
}

func (x *index) insert(hash, number uint32) {
	at := x.home(hash)
	for x.places[at].hash != 0 {
		at = x.next(at)
	}
	x.places[at] = place{hash, number}
}

func (x *index) grow() {
	was := *x
	places := max(int(growth*float64(len(was.places))), smallest)
	*x = index{places: make([]place, places), used: was.used}
	for _, s := range was.places {
		if s.hash != 0 {
			x.insert(s.hash, s.number)
		}
	}
}

// remove takes the record that is meant out. Those behind it move up, so that no search ends before them.
func (x *index) remove(hash uint32, meant func(number uint32) bool) (number uint32, found bool) {
	if x.used == 0 {
		return 0, false
	}
	hole, found := x.search(hash, meant)
	if !found {
		return 0, false
	}
	number = x.places[hole].number
	for at := x.next(hole); x.places[at].hash != 0; at = x.next(at) {
		if x.distance(x.home(x.places[at].hash), at) >= x.distance(hole, at) {
			x.places[hole] = x.places[at]
			hole = at
		}
	}
	x.places[hole] = place{}
	x.used--
	return number, true
}

// distance is how far it is from one place on to another.
func (x *index) distance(from, to int) int {
	if from > to {
		return to + len(x.places) - from
	}
	return to - from
}

func (x *index) each(do func(number uint32)) {
	for _, s := range x.places {
		if s.hash != 0 {
			do(s.number)
		}
	}
}
