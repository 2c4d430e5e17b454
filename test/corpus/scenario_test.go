package corpus

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// scenario is what a program did with one library, what the library exported, and what should be stored.
type scenario struct {
	Run      string            `json:"run"`
	Scenario string            `json:"scenario"`
	Want     truth             `json:"want"`
	NotSent  []string          `json:"not_sent"` // the facts that the library omits
	Exports  []json.RawMessage `json:"exports"`

	bodies [][]byte // the exports as sent
}

// truth is what the mock server saw and what the program set. Nil and empty fields are not checked.
type truth struct {
	Inferences  int              `json:"inferences"`
	Requests    int              `json:"requests"`
	Tokens      map[string]int64 `json:"tokens"`
	CostNanoUSD *int64           `json:"cost_nano_usd"` // nil if there is no price or the mock's differs
	Agent       string           `json:"agent"`         // of the requests
	User        string           `json:"user"`
	Session     string           `json:"session"`
	Status      string           `json:"status"` // of the requests
	Tools       *int             `json:"tools"`
}

func (s *scenario) name() string { return s.Run + "/" + s.Scenario }

func loadScenarios(t *testing.T) (all []scenario) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json.gz")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, name := range files {
		file, err := os.Open(name) //nolint:gosec // of the tree
		if err != nil {
			t.Fatal(err)
		}
		plain, err := gzip.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		var some []scenario
		if err := json.NewDecoder(plain).Decode(&some); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	return all
}

// apart is the time between scenarios.
const apart = time.Minute

// isolate gives a scenario separate times, trace ids and a process, so that nothing relates it to another one. Its last
// span ends shortly before now.
func (s *scenario) isolate(t *testing.T, index int, now time.Time) {
	t.Helper()
	var exports []any
	var newest int64
	for _, export := range s.Exports {
		var tree any
		decoder := json.NewDecoder(strings.NewReader(string(export)))
		decoder.UseNumber()
		if err := decoder.Decode(&tree); err != nil {
			t.Fatal(err)
		}
		exports = append(exports, tree)
		walk(tree, func(name string, value any) any {
			if nanos, is := nanosOf(name, value); is {
				newest = max(newest, nanos)
			}
			return value
		})
	}
	shift := now.Add(-time.Duration(index+1)*apart).UnixNano() - newest
	for _, export := range exports {
		walk(export, func(name string, value any) any {
			if nanos, is := nanosOf(name, value); is {
				return strconv.FormatInt(nanos+shift, 10)
			}
			if id, is := value.(string); is && name == "traceId" {
				return tracePrefix(index) + id[8:]
			}
			if resource, is := value.(map[string]any); is && name == "resource" {
				attributes, _ := resource["attributes"].([]any)
				resource["attributes"] = append(attributes, map[string]any{
					"key": "scenario", "value": map[string]any{"stringValue": strconv.Itoa(index)},
				})
			}
			return value
		})
		body, err := json.Marshal(export)
		if err != nil {
			t.Fatal(err)
		}
		s.bodies = append(s.bodies, body)
	}
}

// tracePrefix returns the prefix of the ids of a scenario's traces.
func tracePrefix(index int) string { return fmt.Sprintf("%08x", index+1) }

func nanosOf(name string, value any) (nanos int64, is bool) {
	text, _ := value.(string)
	if !strings.HasSuffix(strings.ToLower(name), "unixnano") {
		return 0, false
	}
	nanos, err := strconv.ParseInt(text, 10, 64)
	return nanos, err == nil && nanos > 0
}

// walk replaces the value of every member of every object in a tree.
func walk(tree any, replace func(name string, value any) any) {
	switch node := tree.(type) {
	case map[string]any:
		for name, value := range node {
			value = replace(name, value)
			node[name] = value
			walk(value, replace)
		}
	case []any:
		for _, value := range node {
			walk(value, replace)
		}
	}
}

// tokenKinds are the kinds of tokens with their names in NotSent.
var tokenKinds = []struct{ name, short string }{
	{"input", "i"}, {"output", "o"}, {"cache_read", "cr"}, {"cache_write", "cw"}, {"reasoning", "r"},
}

// compare returns the differences between the rows and the truth.
func (s *scenario) compare(rows []row) (faults []mismatch) {
	sent := func(what string) bool { return !slices.Contains(s.NotSent, what) }
	differ := func(what string, want, got any) {
		if fmt.Sprint(want) != fmt.Sprint(got) {
			faults = append(faults, mismatch{what, fmt.Sprint(want), fmt.Sprint(got)})
		}
	}
	got := map[string]int64{}
	var inferences, requests, tools int
	var cost int64
	var agents, users, sessions, statuses []string
	for i := range rows {
		r := &rows[i]
		switch r.Kind {
		case "inference":
			inferences++
		case "tool":
			tools++
		}
		for i, kind := range tokenKinds {
			got[kind.name] += r.tokens[i]
		}
		cost += r.Cost
		users, sessions = append(users, r.User), append(sessions, r.Session)
		if r.Request {
			requests++
			agents, statuses = append(agents, r.Agent), append(statuses, r.Status)
		}
	}
	if sent("spans") {
		if sent("inferences") {
			differ("inferences", s.Want.Inferences, inferences)
		}
		differ("requests", s.Want.Requests, requests)
	}
	complete := s.Want.CostNanoUSD != nil && sent("tokens") && sent("cost")
	for _, kind := range tokenKinds {
		if !sent("spans") || !sent("tokens") || !sent(kind.short) {
			complete = complete && kind.short == "r"
			continue
		}
		differ(kind.name+" tokens", s.Want.Tokens[kind.name], got[kind.name])
	}
	if complete {
		differ("cost in nano-USD", *s.Want.CostNanoUSD, cost)
	}
	if s.Want.Tools != nil && sent("tools") {
		differ("tools", *s.Want.Tools, tools)
	}
	for _, name := range []struct {
		what, want string
		got        []string
	}{{"agent", s.Want.Agent, agents}, {"user", s.Want.User, users}, {"session", s.Want.Session, sessions}, {"status", s.Want.Status, statuses}} {
		if name.want != "" && sent(name.what) && len(name.got) > 0 {
			slices.Sort(name.got)
			differ(name.what, []string{name.want}, slices.Compact(name.got))
		}
	}
	return faults
}
