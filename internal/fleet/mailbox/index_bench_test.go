package mailbox

import (
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/watchbill/watchbill/internal/fleet"
)

// BenchmarkLookup compares the look-up of a token's record in the table of hashes with one in a map, and the memory of
// both per agent.
func BenchmarkLookup(b *testing.B) {
	const agents = 100_000
	tokens := make([]fleet.TokenHash, agents)
	var records slab
	for i := range tokens {
		tokens[i] = fleet.HashToken(string(binary.LittleEndian.AppendUint32(nil, uint32(i))))
		records.at(records.take()).token = tokens[i]
	}
	hash := func(token fleet.TokenHash) uint32 { return binary.LittleEndian.Uint32(token[:]) }
	look := func(b *testing.B, before uint64, find func(fleet.TokenHash) (uint32, bool)) {
		bytes := float64(heapBytes()-before) / agents
		b.ResetTimer()
		for i := 0; b.Loop(); i += 7919 {
			if number, found := find(tokens[i%agents]); !found || number != uint32(i%agents) {
				b.Fatalf("want %d, got %d, %v", i%agents, number, found)
			}
		}
		b.ReportMetric(bytes, "bytes/agent")
	}
	b.Run("table", func(b *testing.B) {
		before := heapBytes()
		var table index
		for i, token := range tokens {
			table.add(hash(token), uint32(i))
		}
		look(b, before, func(token fleet.TokenHash) (uint32, bool) {
			return table.find(hash(token), func(number uint32) bool { return records.at(number).token.Equal(token) })
		})
	})
	b.Run("map", func(b *testing.B) {
		before := heapBytes()
		table := map[fleet.TokenHash]uint32{}
		for i, token := range tokens {
			table[token] = uint32(i)
		}
		look(b, before, func(token fleet.TokenHash) (number uint32, found bool) {
			number, found = table[token]
			return number, found
		})
	})
}

func heapBytes() uint64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}
