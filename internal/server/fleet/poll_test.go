package fleet

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

func TestEmptyResponseMatchesEncoder(t *testing.T) {
	for _, interval := range []time.Duration{time.Second, 10 * time.Second, 12_600 * time.Millisecond} {
		want, err := json.Marshal(pendingResponse("edge-1.a_b", nil, interval), json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		if got := nothingPending("edge-1.a_b", interval); string(got) != string(want) {
			t.Errorf("want %s, got %s", want, got)
		}
	}
}
