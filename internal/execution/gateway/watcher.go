package gateway

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/configfile"
)

// watchEvery is the interval at which a watcher reads its file.
const watchEvery = time.Second

// Watcher reads agents from a file and reloads them when it changes. If the file cannot be read or is invalid, the previous
// agents stay.
type Watcher struct {
	path    string
	file    *configfile.File // used by Run only
	env     func(string) (string, bool)
	log     *zap.Logger
	current atomic.Pointer[Agents]
	fault   string // last error of reading it; likewise
}

// Watch returns a watcher of a file, which must be valid.
func Watch(path string, env func(name string) (value string, ok bool), log *zap.Logger) (*Watcher, error) {
	w := &Watcher{path: path, file: configfile.New(path, maxAgentsFile), env: env, log: log}
	file, _, err := w.file.Read()
	if err != nil {
		return nil, fmt.Errorf("read the agents: %w", err)
	}
	agents, err := ParseAgents(file, env)
	if err != nil {
		return nil, fmt.Errorf("read the agents in %s: %w", path, err)
	}
	w.current.Store(agents)
	return w, nil
}

// Agents returns the current agents.
func (w *Watcher) Agents() *Agents { return w.current.Load() }

// Run reloads the file until ctx is done.
func (w *Watcher) Run(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.refresh()
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *Watcher) refresh() {
	file, changed, err := w.file.Read()
	if err != nil {
		if w.fault != err.Error() { // logged once
			w.log.Error("cannot read the agents file; the agents are unchanged", zap.Error(err))
		}
		w.fault = err.Error()
		return
	}
	w.fault = ""
	if !changed {
		return
	}
	agents, err := ParseAgents(file, w.env)
	if err != nil {
		w.log.Error("the agents file is invalid; the agents are unchanged", zap.String("file", w.path), zap.Error(err))
		return
	}
	w.current.Store(agents)
	w.log.Info("agents reloaded", zap.String("file", w.path), zap.Strings("agents", agents.Names()))
}
