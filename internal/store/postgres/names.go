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

// maxNames is how many agents, and how many models, the rollups tell apart: the first so many that came. All others are
// execution.Other there. A row records which of its names are, so that replicas need not agree at every moment. A name that
// is not used for namesKept makes room for another.
const (
	maxNames  = 500
	namesKept = 30 * 24 * time.Hour
)

const lockNames = `-- name: LockNames :exec
SELECT pg_advisory_xact_lock(hashtextextended('watchbill names', 0))`

// namesFor is how long names are believed that are not read again. What somebody changes by hand is known after that.
const namesFor = 15 * time.Second

// names are those that the rollups tell apart, as far as this replica knows.
type names struct {
	registering sync.Mutex // held while names are registered or dropped, so that what was read last is what is known
	read        time.Time  // when all were read
	life        uint64     // DB.lives then

	mu     sync.RWMutex
	agents map[string]bool
	models map[string]bool
}

// capped says which of an execution's names are not told apart.
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

// refresh reads the names again if those that are known have become old, or are another database's.
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

// learn registers the names of a batch, while there is room.
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

// choose returns the names that get a place, in their order, while there are some. Names that differ in nothing but numbers and
// hexadecimal ids get at most maxOfShape together, so that a program with ids in its names does not take all of them.
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

// maxOfShape is how many names of one shape are told apart.
const maxOfShape = maxNames / 2

var idsInNames = regexp.MustCompile(`[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{16,}|[0-9a-fA-F]*[0-9][0-9a-fA-F]*`)

// shapeOf returns a name without what tells it from others of its kind.
func shapeOf(name string) string { return idsInNames.ReplaceAllLiteralString(name, "#") }

// Names returns the names that the rollups tell apart, in their order, and how many of a kind there may be.
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

// DropName frees the place of a name, and reports whether it had one. What was counted under it stays; what comes under it next
// gets a place again, if there is one. Other replicas learn of it when they next sample.
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

// SampleNames reads which names are told apart, and returns how many of each kind.
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

// NameSample is how many names are told apart, and how many of each kind may be.
type NameSample struct{ Agents, Models, Limit int }

// replace makes the names that were read last the known ones. registering is held.
func (n *names) replace(read registered) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.agents, n.models = read.agents, read.models
}

// drop makes room: names that nothing began under since the given time are forgotten.
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

// changeNames changes what is registered, while no other replica does, and reads what then is.
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

// lookUp reads what other replicas have registered, if one of these agents is not known here.
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

// add makes names known beside those that are: others may have been read meanwhile. Readers keep the maps that they have.
func (n *names) add(read registered) {
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.Copy(read.agents, n.agents)
	maps.Copy(read.models, n.models)
	n.agents, n.models = read.agents, read.models
}

// unknown are the names to register, as far as this replica knows. Where it knows as many as there may be, there are none.
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

// fresh collects names that are not known, at most as many as there is room for.
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
