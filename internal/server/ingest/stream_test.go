package ingest

import (
	"testing"

	"github.com/watchbill/watchbill/internal/execution"
)

func TestFrames(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		event execution.Event
		want  string
	}{
		"a heartbeat":      {execution.Event{}, ": heartbeat\n\n"},
		"line breaks":      {execution.Event{Name: "delta", Data: map[string]string{"text": "a\r\n\nb\rdata: c"}}, "event: delta\ndata: {\"text\":\"a\\r\\n\\nb\\rdata: c\"}\n\n"},
		"invalid UTF-8":    {execution.Event{Name: "delta", Data: map[string]string{"text": "a\xffb"}}, "event: delta\ndata: {\"text\":\"a\ufffdb\"}\n\n"},
		"JSON over lines":  {execution.Event{Name: "delta", Data: rawJSON("{\n\"a\": [1,\r\n2]}")}, "event: delta\ndata: {\"a\":[1,2]}\n\n"},
		"nothing to speak": {execution.Event{Name: "started", Data: struct{}{}}, "event: started\ndata: {}\n\n"},
	} {
		if got, err := frameOf(tt.event); err != nil || string(got) != tt.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, tt.want)
		}
	}
	if frame, err := frameOf(execution.Event{Name: "delta", Data: func() {}}); err == nil {
		t.Errorf("got %q of what is no JSON", frame)
	}
}

// rawJSON marshals as itself.
type rawJSON string

func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }
