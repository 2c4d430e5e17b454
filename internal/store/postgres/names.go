package postgres

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
)

// maxNames is the maximum number of agents, and of models, that the rollups count separately: the first that arrive.
// All others count as execution.Other. Each row records which of its names do, so that replicas may differ for a while.
// A name that is not used for namesKept is dropped, which frees its slot.
const (
	maxNames  = 500
	namesKept = 30 * 24 * time.Hour
)

const lockNames = `-- name: LockNames :exec
SELECT pg_advisory_xact_lock(hashtextextended('watchbill names', 0))`

// namesFor is how long known names are used before they are read again. Manual changes take effect within that time.
const namesFor = 15 * time.Second

// names caches the names that the rollups count separately.
type names struct {
	registering sync.Mutex // held while names are registered or dropped, so that the cache is what was read last
	read        time.Time  // when all were read
	life        uint64     // DB.lives at that time

	mu     sync.RWMutex
	agents map[string]bool
	models map[string]bool
}

// capped returns which of an execution's names count as execution.Other.
func (n *names) capped(e *execution.Execution) execution.Capped {
	n.mu.RLock()
	defer n.mu.RUnlock()
	var c execution.Capped
	if !n.agents[e.AgentName] {
		c |= execution.CappedAgent
	}
	if e.Model != "" && !n.models[e.Model] {
		c |= execution.CappedModel
	}
	return c
}

// refresh reads the names again if the cache is older than namesFor or of another database.
func (n *names) refresh(ctx context.Context, db *DB, now time.Time) error {
	n.registering.Lock()
	defer n.registering.Unlock()
	life := db.lives.Load()
	if age := now.Sub(n.read); n.life == life && age >= 0 && age < namesFor {
		return nil
	}
	var read registered
	err := db.transact(ctx, "read names", func(tx pgx.Tx) (err error) {
		read, err = readNames(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	n.read, n.life = now, life
	n.replace(read)
	return nil
}

// learn registers the names of a batch while there are free slots.
func (n *names) learn(ctx context.Context, db *DB, batch execution.Batch) error {
	agents, models := n.unknown(batch)
	if len(agents)+len(models) == 0 {
		return nil
	}
	n.registering.Lock()
	defer n.registering.Unlock()
	read, err := changeNames(ctx, db, "register names", func(tx pgx.Tx) error {
		known, err := readNames(ctx, tx)
		if err != nil {
			return err
		}
		for kind, fresh := range map[string][]string{
			execution.AgentName: choose(agents, known.agents), execution.ModelName: choose(models, known.models),
		} {
			if _, err := tx.Exec(ctx, `-- name: RegisterNames :exec
INSERT INTO rollup_names (kind, name)
SELECT $1, fresh.name FROM unnest($2::text[]) AS fresh (name) ORDER BY fresh.name
ON CONFLICT DO NOTHING`, kind, fresh); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	n.add(read)
	return nil
}

// choose returns the names that get a free slot, in order. Names that differ only in numbers and hexadecimal ids get at
// most maxOfShape slots together, so that a program with ids in its names does not use up all slots.
func choose(fresh []string, known map[string]bool) (chosen []string) {
	if len(fresh) == 0 {
		return nil
	}
	shapes := make(map[string]int, len(known))
	for name := range known {
		shapes[shapeOf(name)]++
	}
	for _, name := range fresh {
		if shape := shapeOf(name); !known[name] && len(known)+len(chosen) < maxNames && shapes[shape] < maxOfShape {
			shapes[shape]++
			chosen = append(chosen, name)
		}
	}
	return chosen
}

// maxOfShape is the maximum number of names of one shape.
const maxOfShape = maxNames / 2

var idsInNames = regexp.MustCompile(`[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{16,}|[0-9a-fA-F]*[0-9][0-9a-fA-F]*`)

// shapeOf returns a name with its numbers and ids replaced.
func shapeOf(name string) string { return idsInNames.ReplaceAllLiteralString(name, "#") }

// Names returns the names that the rollups count separately, sorted by kind and name, and the limit for each kind.
func (s *Executions) Names(ctx context.Context) (all []execution.Name, limit int, err error) {
	rows, err := s.db.pool.Query(ctx, `-- name: ListNames :many
SELECT kind, name, registered_at FROM rollup_names ORDER BY kind, name`)
	if err != nil {
		return nil, 0, wrap("list names", err)
	}
	all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (n execution.Name, err error) {
		err = row.Scan(&n.Kind, &n.Name, &n.Since)
		return n, err
	})
	return all, maxNames, wrap("list names", err)
}

// DropName frees the slot of a name and reports whether it had one. What was counted under the name remains. If the
// name arrives again, it gets a slot if one is free. Other replicas notice when they next read the names.
func (s *Executions) DropName(ctx context.Context, kind, name string) (dropped bool, err error) {
	s.names.registering.Lock()
	defer s.names.registering.Unlock()
	read, err := changeNames(ctx, s.db, "drop a name", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "-- name: DropName :execrows\nDELETE FROM rollup_names WHERE kind = $1 AND name = $2", kind, name)
		dropped = tag.RowsAffected() > 0
		return err
	})
	if err == nil {
		s.names.replace(read)
	}
	return dropped, err
}

// SampleNames reads the names that the rollups count separately, and returns their numbers.
func (s *Executions) SampleNames(ctx context.Context) (NameSample, error) {
	s.names.registering.Lock()
	defer s.names.registering.Unlock()
	read, err := readNames(ctx, s.db.reserved.pool)
	if err != nil {
		return NameSample{}, wrap("count names", err)
	}
	s.names.replace(read)
	return NameSample{Agents: len(read.agents), Models: len(read.models), Limit: maxNames}, nil
}

// NameSample is the number of names that the rollups count separately, and the limit for each kind.
type NameSample struct{ Agents, Models, Limit int }

// replace replaces the cache. The caller holds registering.
func (n *names) replace(read registered) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.agents, n.models = read.agents, read.models
}

// drop drops the names of which no execution began since the given time.
func (n *names) drop(ctx context.Context, db *DB, since time.Time) error {
	n.registering.Lock()
	defer n.registering.Unlock()
	read, err := changeNames(ctx, db, "drop names", func(tx pgx.Tx) error {
		return db.queries.WithTx(tx).DropUnusedNames(ctx, since)
	})
	if err != nil {
		return err
	}
	n.replace(read)
	return nil
}

// changeNames calls change while no other replica changes names, and returns the names after it.
func changeNames(ctx context.Context, db *DB, doing string, change func(tx pgx.Tx) error) (read registered, err error) {
	err = db.transact(ctx, doing, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockNames); err != nil {
			return err
		}
		if err := change(tx); err != nil {
			return err
		}
		var err error
		read, err = readNames(ctx, tx)
		return err
	})
	return read, err
}

// lookUp reads the names that other replicas registered if one of the agents is unknown here.
func (n *names) lookUp(ctx context.Context, tx pgx.Tx, agents []string) error {
	n.mu.RLock()
	known := len(n.agents) >= maxNames || !slices.ContainsFunc(agents, func(name string) bool { return !n.agents[name] })
	n.mu.RUnlock()
	if known {
		return nil
	}
	read, err := readNames(ctx, tx)
	if err == nil {
		n.add(read)
	}
	return err
}

// add adds names to the cache. It keeps the present ones, since others may have been read concurrently, and replaces
// the maps, since readers may use the old ones.
func (n *names) add(read registered) {
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.Copy(read.agents, n.agents)
	maps.Copy(read.models, n.models)
	n.agents, n.models = read.agents, read.models
}

// unknown returns the names of a batch to register, as far as this replica knows: none if all slots are taken.
func (n *names) unknown(batch execution.Batch) (agents, models []string) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	newAgents, newModels := fresh{known: n.agents}, fresh{known: n.models}
	for i := range batch.Executions {
		newAgents.add(batch.Executions[i].AgentName)
		newModels.add(batch.Executions[i].Model)
	}
	for _, span := range batch.Spans {
		newAgents.add(span.Agent)
	}
	return choose(newAgents.names, n.agents), choose(newModels.names, n.models)
}

// fresh collects unknown names, at most as many as there are free slots.
type fresh struct {
	known, seen map[string]bool
	names       []string
}

func (f *fresh) add(name string) {
	if name == "" || f.known[name] || f.seen[name] || len(f.known)+len(f.names) >= maxNames {
		return
	}
	if f.seen == nil {
		f.seen = map[string]bool{}
	}
	f.seen[name] = true
	f.names = append(f.names, name)
}

// registered are the names in the database.
type registered struct{ agents, models map[string]bool }

// querier is a transaction or a pool.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func readNames(ctx context.Context, from querier) (registered, error) {
	all := registered{agents: map[string]bool{}, models: map[string]bool{}}
	rows, err := from.Query(ctx, "-- name: RollupNames :many\nSELECT kind, name FROM rollup_names")
	if err != nil {
		return all, err
	}
	var kind, name string
	_, err = pgx.ForEachRow(rows, []any{&kind, &name}, func() error {
		if kind == execution.AgentName {
			all.agents[name] = true
		} else {
			all.models[name] = true
		}
		return nil
	})
	return all, err
}
