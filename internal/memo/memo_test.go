package memo_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/watchbill/watchbill/internal/memo"
)

// TestMemo looks up more names than there are slots, and than are cached, concurrently.
func TestMemo(t *testing.T) {
	t.Parallel()
	var names []string
	for n := range 5000 {
		names = append(names, fmt.Sprintf("gen_ai.name.%04d.%d", n, n%7))
	}
	names = append(names, "", "a", "b", "abc", strings.Repeat("long", memo.MaxName), "name", "eman")
	m := memo.New(func(name string) string { return "<" + name + ">" })
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for range 2 {
				for _, name := range names {
					if got, want := m.Get(name), "<"+name+">"; got != want {
						t.Errorf("got %q, want %q", got, want)
					}
					if got, want := m.GetBytes([]byte(name)), "<"+name+">"; got != want {
						t.Errorf("of bytes: got %q, want %q", got, want)
					}
				}
			}
		})
	}
	all.Wait()
}

// TestMemoReturnsStoredValues checks that the function is called once per name.
func TestMemoReturnsStoredValues(t *testing.T) {
	t.Parallel()
	calls := 0
	m := memo.New(func(string) int { calls++; return calls })
	for range 10 {
		if got := m.Get("gen_ai.usage.input_tokens"); got != 1 {
			t.Errorf("call %d was made for a name that is known", got)
		}
	}
}
