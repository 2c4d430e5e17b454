package spool_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/spool"
)

// appendForEver is the program that is killed. It appends from several goroutines and prints what was acknowledged ("a id")
// and, if it also delivers, what was delivered ("d id").
func appendForEver(dir string) {
	s, err := spool.Open(spool.Options{Dir: dir, MaxRecord: 8 << 10, Log: zap.NewNop(), Now: time.Now})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if os.Getenv(killedDir+"_DELIVERS") != "" {
		go func() {
			_ = s.Run(context.Background(), func(_ context.Context, b execution.Batch) (execution.Outcome, error) {
				for _, e := range b.Executions {
					fmt.Println("d", e.ID)
				}
				return execution.Outcome{Accepted: len(b.Executions)}, nil
			})
		}()
	}
	var writing sync.WaitGroup
	for w := range 4 {
		writing.Go(func() {
			for n := 0; ; n++ {
				r, err := s.Reserve()
				if err != nil {
					time.Sleep(time.Millisecond)
					continue
				}
				e := run(n*4 + w)
				e.ErrorMessage = strings.Repeat("x", n*97%6000) // so that some records span several pages
				if err := r.Append(e); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Println("a", e.ID) // one write each
			}
		})
	}
	writing.Wait()
}

func TestKilled(t *testing.T) {
	t.Parallel()
	for name, delivers := range map[string]bool{"while it appends": false, "while it appends and delivers": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for round := range 4 {
				dir := t.TempDir()
				acknowledged, delivered := runAndKill(t, dir, 300+round*251, delivers)
				s, l := open(t, dir), newLedger()
				drain(t, s, l)
				if stats := s.Stats(); stats.Records != 0 {
					t.Errorf("after the replay: want nothing waiting, got %+v", stats)
				}
				closeSpool(t, s)

				times := map[string]int{}
				for _, e := range l.stored {
					times[e.ID]++
				}
				for id := range acknowledged {
					if n := times[id]; n != 1 && (n != 0 || !delivered[id]) {
						t.Errorf("%s was acknowledged and came out %d times", id, n)
					}
				}
				// One record of each writer may have been written and not yet acknowledged.
				if extra := len(times) - len(acknowledged); !delivers && (extra < 0 || extra > 4) {
					t.Errorf("replayed %d where %d were acknowledged", len(times), len(acknowledged))
				}
				if len(l.stored) != len(times) {
					t.Errorf("replayed %d records of %d executions", len(l.stored), len(times))
				}
			}
		})
	}
}

// runAndKill runs the program until it has printed a number of lines, and then kills it.
func runAndKill(t *testing.T, dir string, lines int, delivers bool) (acknowledged, delivered map[string]bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killedDir+"="+dir)
	if delivers {
		cmd.Env = append(cmd.Env, killedDir+"_DELIVERS=1")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged, delivered = map[string]bool{}, map[string]bool{}
	output := bufio.NewScanner(out)
	for n := 0; output.Scan(); n++ {
		if n == lines {
			if err := cmd.Process.Kill(); err != nil { // the rest of its output is still read
				t.Fatal(err)
			}
		}
		switch what, id, _ := strings.Cut(output.Text(), " "); what {
		case "a":
			acknowledged[id] = true
		case "d":
			delivered[id] = true
		}
	}
	if err := cmd.Wait(); cmd.ProcessState.Exited() {
		t.Fatalf("the program was to be killed, but ended: %v", err)
	}
	if len(acknowledged) == 0 {
		t.Fatal("nothing was acknowledged")
	}
	return acknowledged, delivered
}
