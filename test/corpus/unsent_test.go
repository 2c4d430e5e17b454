package corpus

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unsentFile lists facts that scenarios' exports lack, so that they cannot be recorded, in lines of the form "scenario:
// facts # reason". Each line is checked: a fact that is recorded or found in the export may not be listed.
const unsentFile = "testdata/unsent.txt"

// fault is a fact that is not recorded as it happened.
type mismatch struct{ what, want, got string }

func (f mismatch) String() string { return fmt.Sprintf("%s: want %s, got %s", f.what, f.want, f.got) }

// readUnsent returns the facts by scenario.
func readUnsent(t *testing.T) map[string][]string {
	t.Helper()
	file, err := os.ReadFile(unsentFile)
	if err != nil {
		t.Fatal(err)
	}
	unsent := map[string][]string{}
	for line := range strings.Lines(string(file)) {
		claim, why, _ := strings.Cut(strings.TrimSpace(line), "#")
		if claim = strings.TrimSpace(claim); claim == "" {
			continue
		}
		name, facts, found := strings.Cut(claim, ":")
		if !found || strings.TrimSpace(why) == "" {
			t.Errorf("%s: %q has no facts or no reason", unsentFile, claim)
		}
		for fact := range strings.SplitSeq(facts, ",") {
			unsent[name] = append(unsent[name], strings.TrimSpace(fact))
		}
	}
	return unsent
}

// argue returns what is wrong, and what is excused because the export lacks it. An excuse is wrong if the fact is
// recorded, or if the export has it.
func (s *scenario) argue(faults []mismatch, unsent []string, rows []row) (wrong, left []string) {
	for _, f := range faults {
		switch {
		case !slices.Contains(unsent, f.what):
			wrong = append(wrong, f.String())
		case s.evidence(f, rows):
			wrong = append(wrong, f.String()+", although the export has it")
		default:
			left = append(left, f.what)
		}
	}
	for _, what := range unsent {
		if !slices.ContainsFunc(faults, func(f mismatch) bool { return f.what == what }) {
			wrong = append(wrong, fmt.Sprintf("%s is recorded: take it out of %s", what, unsentFile))
		}
	}
	return wrong, left
}

// saysCall matches attributes that mark a span as a call of a model.
var saysCall = regexp.MustCompile(`"key":"(gen_ai\.operation\.name|llm\.request\.type|openinference\.span\.kind)","value":\{"stringValue":"(?i:chat|text_completion|generate_content|completion|embeddings|llm|embedding)"`)

// countWords occur in the names of attributes that count tokens.
var countWords = map[string]string{
	"input": `input_tokens|prompt_tokens|count\.prompt`, "output": "output|completion", "cache_read": "cache", "cache_write": "cache", "reasoning": "reason",
}

// evidence reports whether the export has a fact: as many spans of calls as there were, or the count itself as an
// attribute.
func (s *scenario) evidence(f mismatch, rows []row) bool {
	export, err := json.Marshal(s.Exports)
	if err != nil {
		return true
	}
	switch {
	case f.what == "inferences" || f.what == "requests":
		recorded := 0
		for i := range rows {
			if rows[i].Kind == "inference" {
				recorded++
			}
		}
		return len(saysCall.FindAll(export, -1)) > recorded
	case strings.HasSuffix(f.what, " tokens"):
		words := countWords[strings.TrimSuffix(f.what, " tokens")]
		return regexp.MustCompile(`"key":"[^"]*(` + words + `)[^"]*","value":\{"intValue":"?` + f.want + `"?\}`).Match(export)
	}
	return false
}
