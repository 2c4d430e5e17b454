package corpus

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

var update = flag.Bool("update", false, "write the names of the scenarios that are recorded wrongly to "+wrongFile)

// wrongFile lists the scenarios that are not recorded as they happened, each with the reason after a #.
const wrongFile = "testdata/wrong.txt"

// feeders is the number of scenarios exported concurrently.
const feeders = 8

// TestCorpus exports every scenario as recorded, settles what was stored, and compares each scenario's rows with what
// happened. Exactly the scenarios in wrongFile must differ.
func TestCorpus(t *testing.T) {
	t.Parallel()
	scenarios := loadScenarios(t)
	p := newPipeline(t)
	now := time.Now().UTC()
	for i := range scenarios {
		scenarios[i].isolate(t, i, now)
	}
	p.ensureDays(t, now)

	next := make(chan *scenario)
	var group sync.WaitGroup
	for range feeders {
		group.Go(func() {
			for s := range next {
				p.feed(t, s)
			}
		})
	}
	for i := range scenarios {
		next <- &scenarios[i]
	}
	close(next)
	group.Wait()

	p.settle(t)
	p.checkRollups(t)
	stored := p.stored(t)

	known, unsent := readWrong(t), readUnsent(t)
	wrong := map[string]string{}
	short := 0
	for i := range scenarios {
		s := &scenarios[i]
		t.Run(s.name(), func(t *testing.T) {
			faults, left := s.argue(s.compare(stored[i]), unsent[s.name()], stored[i])
			if len(left) > 0 {
				short++
			}
			_, expected := known[s.name()]
			switch {
			case len(faults) > 0:
				wrong[s.name()] = strings.Join(faults, "; ")
				if !expected {
					t.Error(strings.Join(faults, "\n"))
				}
			case expected:
				t.Errorf("is right now: take it out of %s", wrongFile)
			}
			if expected {
				t.Log(strings.Join(faults, "\n"))
			}
		})
		delete(known, s.name())
		delete(unsent, s.name())
	}
	for name := range unsent {
		t.Errorf("%s names %s, which is no scenario", unsentFile, name)
	}
	for name := range known {
		t.Errorf("%s names %s, which is no scenario", wrongFile, name)
	}
	t.Logf("%d of %d scenarios are right, %d of them as far as their exports tell", len(scenarios)-len(wrong), len(scenarios), short)
	if *update {
		writeWrong(t, wrong)
	}
}

func (p *pipeline) feed(t *testing.T, s *scenario) {
	for _, body := range s.bodies {
		status, _, answer := p.traces.Export(t.Context(), http.Header{"Content-Type": {"application/json"}}, bytes.NewReader(body))
		if status != http.StatusOK {
			t.Errorf("%s: answered %d: %s", s.name(), status, answer)
		}
	}
}

// readWrong returns the reasons by scenario.
func readWrong(t *testing.T) map[string]string {
	t.Helper()
	file, err := os.ReadFile(wrongFile)
	if err != nil {
		t.Fatal(err)
	}
	wrong := map[string]string{}
	for line := range strings.Lines(string(file)) {
		name, why, _ := strings.Cut(strings.TrimSpace(line), "#")
		if name = strings.TrimSpace(name); name != "" {
			wrong[name] = strings.TrimSpace(why)
		}
	}
	return wrong
}

// writeWrong writes the file and keeps existing reasons.
func writeWrong(t *testing.T, wrong map[string]string) {
	t.Helper()
	reasons := readWrong(t)
	var text strings.Builder
	text.WriteString("# Scenarios that are recorded otherwise than they happened, and why.\n")
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		why := reasons[name]
		if why == "" {
			why = wrong[name]
		}
		fmt.Fprintf(&text, "%s # %s\n", name, why)
	}
	if err := os.WriteFile(wrongFile, []byte(text.String()), 0o644); err != nil { //nolint:gosec // it is a part of the tree
		t.Fatal(err)
	}
}
