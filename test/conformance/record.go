package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// recording is a scenario in the format of the corpus of recorded exports.
type recording struct {
	Run      string         `json:"run"`
	Scenario string         `json:"scenario"`
	Want     map[string]any `json:"want"`
	NotSent  []string       `json:"not_sent"`
	Seen     recorded       `json:"seen"`
	Faults   []string       `json:"faults"`
	Exports  []any          `json:"exports"`
}

// short maps kinds of tokens to their names in the corpus.
var short = map[string]string{"input": "i", "output": "o", "cache_read": "cr", "cache_write": "cw", "reasoning": "r"}

// record writes what was exported and what must be recorded of it.
func record(folder string, r *result, seen map[string]*observed, env environment) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	all := []recording{}
	for _, s := range r.scenarios {
		o := seen[s.name]
		want := map[string]any{
			"inferences": o.truth.Inferences, "requests": *s.Requests, "tokens": o.truth.Tokens, "cost_nano_usd": o.truth.CostNanoUSD, "status": s.Status,
		}
		if o.truth.Unpriced {
			delete(want, "cost_nano_usd")
		}
		for name, value := range map[string]*string{"agent": s.Agent, "user": s.User, "session": s.Session} {
			if value != nil {
				want[name] = *value
			}
		}
		if s.Tools != nil {
			want["tools"] = *s.Tools
		}
		kept := recording{Run: r.Name, Scenario: s.name, Want: want, NotSent: []string{}, Seen: s.recorded, Faults: s.faults, Exports: []any{}}
		for _, what := range s.NotSent {
			if brief, ok := short[what]; ok {
				what = brief
			}
			kept.NotSent = append(kept.NotSent, what)
		}
		for _, e := range o.exports {
			tree, err := e.otlpJSON()
			if err != nil {
				return err
			}
			kept.Exports = append(kept.Exports, tree)
		}
		all = append(all, kept)
	}
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	anonymous := strings.ReplaceAll(encoded.String(), env.folder, "/app")
	if home, err := os.UserHomeDir(); err == nil {
		anonymous = strings.ReplaceAll(anonymous, home+"/", "/home/user/")
	}
	if host, err := os.Hostname(); err == nil && len(host) > 3 {
		anonymous = strings.ReplaceAll(anonymous, host, "host")
	}
	return os.WriteFile(filepath.Join(folder, r.Name+".json"), []byte(anonymous), 0o644)
}
