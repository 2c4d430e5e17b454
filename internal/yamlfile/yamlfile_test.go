package yamlfile_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/yamlfile"
)

const (
	maxFile   = 1 << 16
	maxFaults = 20
)

// sample is a file with a field of every kind.
type sample struct {
	Name  string
	Note  string
	Every time.Duration
	Tags  []string
	Extra any
}

// parse parses a sample; it returns nil if there are faults.
func parse(file string) (*sample, error) {
	r, root := yamlfile.Read([]byte(file), maxFile, maxFaults)
	if root == nil {
		return nil, r.Err()
	}
	fields := r.Mapping(root, "", "name", "note", "every", "tags", "extra")
	s := &sample{
		Name:  r.OneLine(fields["name"], "name", 10),
		Note:  r.Text(fields["note"], "note", 100),
		Every: r.Duration(fields["every"], "every", time.Minute, time.Second, time.Hour),
		Extra: r.Value(fields["extra"], "extra"),
	}
	for at, entry := range r.List(fields["tags"], "tags", 1, 3) {
		s.Tags = append(s.Tags, r.Text(entry, at, 10))
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

func TestRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		file string
		want sample
	}{
		"nothing in it": {"{}", sample{Every: time.Minute}},
		"texts as they are written": {"\ufeffname: 010\nnote: |\n  two\n  lines\ntags: [1_000, 2026-01-02, .inf]\n", sample{
			Name: "010", Note: "two\nlines\n", Every: time.Minute, Tags: []string{"1_000", "2026-01-02", ".inf"},
		}},
		"a value of every kind": {"every: 1m30s\nextra: {a: [~, yes, 0x10, 18446744073709551615, 1.5, 2026-01-02, x], '': {}, b: !!binary aGk=}", sample{
			Every: 90 * time.Second,
			Extra: map[string]any{"a": []any{nil, "yes", 16, uint64(1<<64 - 1), 1.5, "2026-01-02", "x"}, "": map[string]any{}, "b": "hi"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	known := "is not a field here; known are name, note, every, tags, extra"
	for name, tt := range map[string]struct {
		file string
		want []string
	}{
		"nothing":                     {"", []string{"line 1: file: is empty"}},
		"blanks":                      {" \n\n", []string{"line 1: file: is empty"}},
		"only a comment":              {"# nothing\n", []string{"line 1: file: is empty"}},
		"null":                        {"~", []string{"line 1: file: must be a mapping"}},
		"a list":                      {"\n- a", []string{"line 2: file: must be a mapping"}},
		"two documents":               {"name: a\n---\nname: b\n", []string{"line 2: file: must be one YAML document, not several"}},
		"no YAML":                     {"name: a\nnote: b\ntags: [}", []string{"line 3: file: is not YAML: did not find expected node content"}},
		"no YAML in the first line":   {"name: {x", []string{"line 1: file: is not YAML: did not find expected ',' or '}'"}},
		"no YAML at the end":          {"tags: [\n", []string{"line 1: file: is not YAML: did not find expected node content"}},
		"no YAML for the scanner":     {"name: a\nnote: b\ntags: []\n\t- a", []string{"line 4: file: is not YAML: found character that cannot start any token"}},
		"no YAML in the second":       {"name: a\n---\n\n}", []string{"line 4: file: is not YAML: did not find expected node content"}},
		"too deep":                    {"name: a\ntags: " + strings.Repeat("[", 20_000), []string{"line 2: file: is not YAML: exceeded max depth of 10000"}},
		"an alias of nothing":         {"name: *" + strings.Repeat("a", 100), []string{"line 1: file: is not YAML: unknown anchor '" + strings.Repeat("a", 44) + "…"}},
		"a NUL":                       {"name: a\n# \x00\n\x00", []string{"line 2: file: must not contain NUL characters"}},
		"no UTF-8":                    {"name: \uFFFD\n\n# \xff\n", []string{"line 3: file: must be valid UTF-8"}},
		"UTF-16":                      {"\xff\xfen\x00", []string{"line 1: file: must be valid UTF-8"}},
		"too large":                   {strings.Repeat("#", maxFile+1), []string{"line 1: file: must be at most 65536 bytes"}},
		"a field that is unknown":     {"name: a\nnme: b", []string{"line 2: nme: " + known}},
		"a field that cannot be seen": {"\"a\\e b\": 1\n'': 2", []string{`line 1: "a\x1b b": ` + known, `line 2: "": ` + known}},
		"a field that is long":        {strings.Repeat("y", 100) + ": 1", []string{"line 1: " + strings.Repeat("y", 60) + "…: " + known}},
		"a field twice":               {"name: a\nnote: b\nname: c", []string{"line 3: name: is duplicated, first in line 1"}},
		"a field that is no name":     {"[name]: a\nextra: {{a: b}: c}", []string{"line 1: key: must be a name", "line 2: extra.key: must be a name"}},
		"a merge":                     {"<<: {name: a}", []string{"line 1: <<: " + known}},
		"aliases": {"name: &a x\nnote: *a\ntags: &b [*a]\nextra: [*b, {c: *b}]\nevery: *a", []string{
			"line 2: note: is an alias, which are not followed here; write it out",
			"line 3: tags[0]: is an alias, which are not followed here; write it out",
			"line 4: extra[0]: is an alias, which are not followed here; write it out",
			"line 4: extra[1].c: is an alias, which are not followed here; write it out",
			"line 5: every: is an alias, which are not followed here; write it out",
		}},
		"an alias of itself": {"extra: &a [*a]", []string{"line 1: extra[0]: is an alias, which are not followed here; write it out"}},
		"texts that are none": {"name: [a]\nnote: ~\ntags: [true, !!binary aGk=, !mine a]", []string{
			"line 1: name: must be text", "line 2: note: must be text",
			"line 3: tags[0]: must be text", "line 3: tags[1]: must be text", "line 3: tags[2]: must be text",
		}},
		"texts that are empty": {"name: ''\nnote: \" \\t\"\ntags: ['']", []string{
			"line 1: name: must not be empty", "line 2: note: must not be empty", "line 3: tags[0]: must not be empty",
		}},
		"texts that are long":   {"name: aaaaaaaaaaa\ntags: [ééééé, éééééé]", []string{"line 1: name: must be at most 10 bytes", "line 2: tags[1]: must be at most 10 bytes"}},
		"more than one line":    {"name: \"a\\nb\"", []string{"line 1: name: must not contain control characters"}},
		"no list":               {"tags: a", []string{"line 1: tags: must be a list"}},
		"an empty list":         {"tags: []", []string{"line 1: tags: must not be empty"}},
		"a long list":           {"tags: [a, b, c, d]", []string{"line 1: tags: must have at most 3 entries"}},
		"a time without unit":   {"every: 5", []string{`line 1: every: must be a duration such as 90s or 2m, not "5"`}},
		"a time that is long":   {"every: 2h", []string{"line 1: every: must be from 1s to 1h"}},
		"a time that is short":  {"every: -1s", []string{"line 1: every: must be from 1s to 1h"}},
		"a time that is cut":    {"every: " + strings.Repeat("é", 40), []string{`line 1: every: must be a duration such as 90s or 2m, not "` + strings.Repeat("é", 30) + `…"`}},
		"a character cut apart": {"every: x" + strings.Repeat("é", 40), []string{`line 1: every: must be a duration such as 90s or 2m, not "x` + strings.Repeat("é", 29) + `…"`}},
		"values without JSON": {"extra: {b: .nan, a: [1, -.inf], c d: !!int x}", []string{
			"line 1: extra.a[1]: must be a value that JSON has",
			"line 1: extra.b: must be a value that JSON has",
			"line 1: extra.\"c d\": cannot be read: yaml: cannot decode !!str `x` as a !!int",
		}},
		"faults in the order of their lines": {"tags: a\nevery: x\nname: []", []string{
			"line 1: tags: must be a list", `line 2: every: must be a duration such as 90s or 2m, not "x"`, "line 3: name: must be text",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(tt.file)
			var faults yamlfile.Faults
			if !errors.As(err, &faults) || got != nil {
				t.Fatalf("want faults, got %v, %v", got, err)
			}
			if diff := cmp.Diff(tt.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	for bad, want := range map[int]int{maxFaults: maxFaults, maxFaults + 1: maxFaults + 1, 1000: maxFaults + 1} {
		_, err := parse("name: []\nextra: [" + strings.Repeat(".nan,\n", bad-1) + "]")
		lines := strings.Split(err.Error(), "\n")
		more := fmt.Sprintf("line %d: file: has more faults than are listed", maxFaults)
		if len(lines) != want || (lines[len(lines)-1] == more) != (bad > maxFaults) {
			t.Errorf("of %d faults: want %d lines, got %d:\n%v", bad, want, len(lines), err)
		}
	}
}

// TestAliasBomb checks that a file of gigabytes after expanding aliases costs no more than any other.
func TestAliasBomb(t *testing.T) {
	t.Parallel()
	bomb := "name: &a [x,x,x,x,x,x,x,x,x]\nextra:\n"
	for c := 'b'; c < 'z'; c++ {
		bomb += fmt.Sprintf(" %c: &%c [%s]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 9))
	}
	var faults yamlfile.Faults
	if _, err := parse(bomb + "tags: *y\n"); !errors.As(err, &faults) || len(faults) != maxFaults+1 {
		t.Errorf("got %v", err)
	}
}

func FuzzReader(f *testing.F) {
	for _, file := range []string{
		"", "name: &a x\nnote: *a", "tags: &a [*a]", "extra: {a: [~, yes, 1.5, .nan, 2026-01-02, !!binary aGk=, !!int x]}", "every: 90s",
		"? [a]\n: b", "<<: {a: b}", "!!binary aGk=: 1", "\ufeffname: x", "note: |\n x\n", "name: \"\\0\\e\"", "tags: [}", "a\rb: [\r}", "%TAG ! x\n--- !a b",
	} {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file string) {
		got, err := parse(file)
		if again, err2 := parse(file); fmt.Sprint(err) != fmt.Sprint(err2) || !cmp.Equal(got, again) {
			t.Errorf("two results: %v, %v and %v, %v", got, err, again, err2)
		}
		if err == nil {
			if _, err := json.Marshal(got); err != nil {
				t.Error(err)
			}
			return
		}
		var faults yamlfile.Faults
		if !errors.As(err, &faults) || len(faults) == 0 || len(faults) > maxFaults+1 || got != nil || !utf8.ValidString(err.Error()) {
			t.Fatalf("got %v, %v", got, err)
		}
		for _, fault := range faults {
			if fault.Line < 1 || fault.Field == "" || fault.Detail == "" {
				t.Errorf("a fault that says little: %+v", fault)
			}
		}
	})
}
