package enrollment

import (
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/yamlfile"
)

// Limits of the file.
const (
	maxFile   = 1 << 20 // bytes
	maxFaults = 50
	maxTokens = 1000
	maxAgents = 10_000_000
)

// Parse parses a file of enrollment tokens, which contains their hashes only. The error is a yamlfile.Faults.
func Parse(file []byte) ([]fleet.Grant, error) {
	r, root := yamlfile.Read(file, maxFile, maxFaults)
	if root == nil {
		return nil, r.Err()
	}
	list := r.Mapping(root, "", "tokens")["tokens"]
	if list == nil && root.Kind == yaml.MappingNode {
		r.Fault(root, "tokens", "is missing; it lists the enrollment tokens")
	}
	var grants []fleet.Grant
	lines := map[fleet.TokenHash]int{}
	for at, n := range r.List(list, "tokens", 0, maxTokens) {
		g, ok := readGrant(r, n, at)
		if first, again := lines[g.Token]; ok && again {
			r.Fault(n, at+".sha256", "is another token's, in line %d", first)
		}
		lines[g.Token] = n.Line
		grants = append(grants, g)
	}
	return grants, r.Err()
}

func readGrant(r *yamlfile.Reader, n *yaml.Node, at string) (g fleet.Grant, ok bool) {
	fields := r.Mapping(n, at, "sha256", "labels", "allowedLabels", "maxAgents", "minPollInterval", "expires")
	sum, written := fields["sha256"], r.Text(fields["sha256"], at+".sha256", 1000)
	hash, err := hex.DecodeString(written)
	switch {
	case sum == nil && n.Kind == yaml.MappingNode:
		r.Fault(n, at+".sha256", "is missing; it is the SHA-256 of the token, as 64 hexadecimal digits")
	case written != "" && (err != nil || len(hash) != len(g.Token)):
		// The value may be the token itself, so it is not quoted.
		r.Fault(sum, at+".sha256", "must be the SHA-256 of the token, as 64 hexadecimal digits")
	case written != "":
		g.Token, ok = fleet.TokenHash(hash), true
	}
	g.Labels = readLabels(r, fields["labels"], at+".labels")
	g.AllowedLabels = readAllowed(r, fields["allowedLabels"], at+".allowedLabels", g.Labels)
	if n := fields["maxAgents"]; n != nil {
		text := r.Text(n, at+".maxAgents", 100)
		if g.MaxAgents, err = strconv.Atoi(text); text != "" && (err != nil || g.MaxAgents < 1 || g.MaxAgents > maxAgents) {
			r.Fault(n, at+".maxAgents", "must be a number from 1 to %d", maxAgents)
		}
	}
	g.MinPollInterval = r.Duration(fields["minPollInterval"], at+".minPollInterval", 0, fleet.MinPollInterval, fleet.MaxPollInterval)
	if g.MinPollInterval%time.Second != 0 {
		r.Fault(fields["minPollInterval"], at+".minPollInterval", "must be whole seconds")
	}
	if n := fields["expires"]; n != nil {
		text := r.Text(n, at+".expires", 100)
		if g.Expires, err = time.Parse(time.RFC3339, text); text != "" && err != nil {
			r.Fault(n, at+".expires", "must be a time such as 2027-01-31T00:00:00Z")
		}
	}
	return g, ok
}

func readLabels(r *yamlfile.Reader, n *yaml.Node, field string) map[string]string {
	fields := r.Mapping(n, field)
	if len(fields) == 0 {
		return nil
	}
	labels := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		value := fields[key]
		checkKey(r, value, yamlfile.Under(field, key), key)
		// Any scalar is taken as written: labels are often true or 7.
		if value.Kind != yaml.ScalarNode || value.ShortTag() == "!!null" {
			r.WrongKind(value, yamlfile.Under(field, key), "text")
			continue
		}
		labels[key] = value.Value
		if problem := fleet.LabelValueFault(value.Value); problem != "" {
			r.Fault(value, yamlfile.Under(field, key), "%s", problem)
		}
	}
	if len(labels) > fleet.MaxLabels {
		r.Fault(n, field, "must be at most %d", fleet.MaxLabels)
	}
	return labels
}

func readAllowed(r *yamlfile.Reader, n *yaml.Node, field string, fixed map[string]string) []string {
	if n == nil {
		return nil
	}
	keys := []string{} // not nil, which would allow any
	for at, entry := range r.List(n, field, 0, fleet.MaxLabels) {
		key := r.Text(entry, at, 1000)
		if key == "" {
			continue
		}
		checkKey(r, entry, at, key)
		if _, isFixed := fixed[key]; isFixed {
			r.Fault(entry, at, "is fixed by labels")
		}
		keys = append(keys, key)
	}
	return keys
}

func checkKey(r *yamlfile.Reader, n *yaml.Node, field, key string) {
	if problem := fleet.LabelKeyFault(key); problem != "" {
		r.Fault(n, field, "%s", problem)
	}
}
