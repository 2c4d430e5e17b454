package postgres

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/observe/metrics"
)

// Content of log records is stored until the span with its execution arrives.
const (
	contentsKept   = 15 * time.Minute
	contentsQuiet  = 3 * time.Second // time after a span's last record until its content counts as complete
	contentsLater  = 2 * time.Minute // maximum interval between look-ups of the execution
	contentsAtOnce = 200             // rows read in one transaction

	maxContentRows  = 200_000
	maxContentBytes = 256 << 20
	maxSourceRows   = maxContentRows / 2 // per token
	maxSourceBytes  = maxContentBytes / 2
	maxSpanContents = 1000 // per span
)

var (
	errContentsFull = fault.UnavailableBecause("too much content of log records waits for its spans; try again later")
	errSourceFull   = &fault.Error{
		Kind: fault.Limited, Code: "busy", Detail: "too much content that came by this token waits for its spans; export the traces too, or try again later",
	}
)

// Contents stores the content of log records until the executions that it belongs to are stored, and
// then adds it to them.
type Contents struct {
	db     *DB
	policy execution.PayloadPolicy

	mu      sync.Mutex
	waiting map[execution.Source]contentSize // the last count, plus what this replica added since
	sample  metrics.ContentSample
}

type contentSize struct{ rows, bytes int64 }

// NewContents returns a store of contents. Payloads are masked and bounded by policy.
func NewContents(db *DB, policy execution.PayloadPolicy) *Contents {
	return &Contents{db: db, policy: policy, waiting: map[execution.Source]contentSize{}}
}

// Keep masks, bounds and stores contents. They are committed when Keep returns nil. Contents that the policy rejects
// are not stored; refused is their number.
func (s *Contents) Keep(ctx context.Context, contents []execution.Content) (refused int, err error) {
	var traces, spans []string
	var digests [][]byte
	var times []time.Time
	var inputs, outputs []*string
	var messages []bool
	var sizes []int32
	total := int64(0)
	for _, c := range contents {
		digest := digestOf(c)
		masked := execution.Execution{Input: c.Input, Output: c.Output}
		if s.policy.Apply(&masked) != nil {
			refused++
			continue
		}
		size := len(masked.Input) + len(masked.Output)
		traces, spans, digests, times = append(traces, c.TraceID), append(spans, c.SpanID), append(digests, digest), append(times, c.At)
		inputs, outputs, messages = append(inputs, text(masked.Input)), append(outputs, text(masked.Output)), append(messages, c.Message)
		sizes = append(sizes, int32(size))
		total += int64(size)
	}
	if len(traces) == 0 {
		s.count(func(n *metrics.ContentSample) { n.Large += int64(refused) })
		return refused, nil
	}
	source := execution.SourceOf(ctx)
	if err := s.reserve(source, contentSize{int64(len(traces)), total}); err != nil {
		s.count(func(n *metrics.ContentSample) { n.Full += int64(len(contents)) })
		return 0, err
	}
	kept := int64(0)
	err = s.db.inTxAs(ctx, writer, "store log records", func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, `-- name: KeepContents :exec
INSERT INTO pending_contents (trace_id, span_id, digest, source, said_at, place, input, output, message, bytes, check_at)
SELECT c.trace_id, c.span_id, c.digest, $9, c.said_at, c.place, c.input::jsonb, c.output::jsonb, c.message, c.bytes, now() + $10::float8 * interval '1 second'
FROM unnest($1::text[], $2::text[], $3::bytea[], $4::timestamptz[], $5::text[], $6::text[], $7::boolean[], $8::integer[]) WITH ORDINALITY
	AS c (trace_id, span_id, digest, said_at, input, output, message, bytes, place)
ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING`, traces, spans, digests, times, inputs, outputs, messages, sizes, source[:], contentsQuiet.Seconds())
		kept = done.RowsAffected() // excludes duplicates
		return err
	})
	if err != nil {
		return 0, err
	}
	s.count(func(n *metrics.ContentSample) { n.Kept, n.Large = n.Kept+kept, n.Large+int64(refused) })
	return refused, nil
}

// count applies change to the sample under the lock.
func (s *Contents) count(change func(*metrics.ContentSample)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.sample)
}

// Sample returns the pending content as last counted, and the totals by outcome.
func (s *Contents) Sample() metrics.ContentSample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sample
}

func text(raw json.RawMessage) *string {
	if raw == nil {
		return nil
	}
	s := string(raw)
	return &s
}

// digestOf returns a digest by which duplicates of a record are recognized.
func digestOf(c execution.Content) []byte {
	hash := sha256.New()
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(c.At.UnixMicro()))
	hash.Write(at[:])
	for _, part := range []json.RawMessage{c.Input, c.Output} {
		binary.BigEndian.PutUint64(at[:], uint64(len(part)))
		hash.Write(at[:])
		hash.Write(part)
	}
	return hash.Sum(nil)
}

// reserve returns an error if storing size would exceed a limit. It uses the last count plus
// what this replica added since.
func (s *Contents) reserve(source execution.Source, size contentSize) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all contentSize
	for _, one := range s.waiting {
		all.rows, all.bytes = all.rows+one.rows, all.bytes+one.bytes
	}
	own := s.waiting[source]
	own.rows, own.bytes = own.rows+size.rows, own.bytes+size.bytes
	switch {
	case own.rows > maxSourceRows || own.bytes > maxSourceBytes:
		return errSourceFull
	case all.rows+size.rows > maxContentRows || all.bytes+size.bytes > maxContentBytes:
		return errContentsFull
	}
	s.waiting[source] = own
	return nil
}

// Count counts the pending content again.
func (s *Contents) Count(ctx context.Context) error {
	waiting := map[execution.Source]contentSize{}
	err := s.db.inTxAs(ctx, admin, "count log records", func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `-- name: CountContents :many
SELECT source, count(*), sum(bytes) FROM pending_contents GROUP BY source`)
		if err != nil {
			return err
		}
		var source []byte
		var size contentSize
		_, err = pgx.ForEachRow(rows, []any{&source, &size.rows, &size.bytes}, func() error {
			var key execution.Source
			copy(key[:], source)
			waiting[key] = size
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting, s.sample.Waiting, s.sample.Bytes = waiting, 0, 0
	for _, one := range waiting {
		s.sample.Waiting, s.sample.Bytes = s.sample.Waiting+one.rows, s.sample.Bytes+one.bytes
	}
	return nil
}

// spanKey identifies a span.
type spanKey struct{ trace, span string }

// Join adds pending contents to their executions as far as these are stored. It reports whether more contents may be
// due. Replicas may call it concurrently.
func (s *Contents) Join(ctx context.Context) (more bool, err error) {
	joined := 0
	err = s.db.inTxAs(ctx, admin, "join log records", func(tx pgx.Tx) error {
		due, err := takeContents(ctx, tx)
		if err != nil || len(due) == 0 {
			return err
		}
		more = len(due) >= contentsAtOnce/2
		found, err := spanExecutions(ctx, tx, due)
		if err != nil {
			return err
		}
		var traces, spans []string
		for _, key := range due {
			one, there := found[key]
			if !there {
				traces, spans = append(traces, key.trace), append(spans, key.span)
				continue
			}
			n, err := s.join(ctx, tx, key, one)
			if err != nil {
				return err
			}
			joined += n
		}
		_, err = tx.Exec(ctx, `-- name: PostponeContents :exec
UPDATE pending_contents p SET check_at = now() + GREATEST($3::float8 * interval '1 second', LEAST(now() - p.since, $4::float8 * interval '1 second'))
FROM unnest($1::text[], $2::text[]) AS k (trace_id, span_id)
WHERE p.trace_id = k.trace_id AND p.span_id = k.span_id`, traces, spans, contentsQuiet.Seconds(), contentsLater.Seconds())
		return err
	})
	if err == nil {
		s.count(func(n *metrics.ContentSample) { n.Joined += int64(joined) })
	}
	return more, err
}

// takeContents returns spans whose content is due, and locks rows of it until the transaction ends. It skips rows that
// another replica has locked.
func takeContents(ctx context.Context, tx pgx.Tx) ([]spanKey, error) {
	rows, err := tx.Query(ctx, `-- name: TakeContents :many
SELECT trace_id, span_id FROM pending_contents WHERE check_at <= now() ORDER BY check_at LIMIT $1 FOR UPDATE SKIP LOCKED`, contentsAtOnce)
	if err != nil {
		return nil, err
	}
	due := map[spanKey]bool{}
	var key spanKey
	_, err = pgx.ForEachRow(rows, []any{&key.trace, &key.span}, func() error {
		due[key] = true
		return nil
	})
	return slices.SortedFunc(maps.Keys(due), func(a, b spanKey) int {
		return cmp.Or(cmp.Compare(a.trace, b.trace), cmp.Compare(a.span, b.span))
	}), err
}

// storedExecution is the key of an execution's row and which payloads it has.
type storedExecution struct {
	user                string
	createdAt           time.Time
	id                  string
	hasInput, hasOutput bool
}

// spanExecutions returns the executions of spans and locks their rows. If a span was merged into another of
// the same call, its execution is that of the other. Spans with content newer than contentsQuiet are left
// out, since more may follow.
func spanExecutions(ctx context.Context, tx pgx.Tx, keys []spanKey) (map[spanKey]storedExecution, error) {
	traces, spans := make([]string, len(keys)), make([]string, len(keys))
	for i, key := range keys {
		traces[i], spans[i] = key.trace, key.span
	}
	rows, err := tx.Query(ctx, `-- name: ExecutionsOfSpans :many
SELECT k.trace_id, k.span_id, e.user_id, e.created_at, e.execution_id, num_nonnulls(e.input_json, e.input_data) > 0, num_nonnulls(e.output_json, e.output_data) > 0
FROM unnest($1::text[], $2::text[]) AS k (trace_id, span_id)
LEFT JOIN joined_executions j ON j.execution_id = k.trace_id || '-' || k.span_id AND j.into_id NOT IN ('', j.execution_id)
JOIN span_ancestors a ON a.trace_id = COALESCE(left(j.into_id, 32), k.trace_id) AND a.span_id = COALESCE(substr(j.into_id, 34), k.span_id)
	AND a.execution AND a.started_at IS NOT NULL
JOIN agent_executions e ON e.status IN ('success', 'failure', 'timeout') -- for the index
	AND e.created_at = a.started_at AND e.execution_id = a.trace_id || '-' || a.span_id
WHERE NOT EXISTS (
	SELECT FROM pending_contents p
	WHERE p.trace_id = k.trace_id AND p.span_id = k.span_id AND p.since > now() - $3::float8 * interval '1 second')
ORDER BY e.created_at, e.execution_id, e.user_id
FOR UPDATE OF e`, traces, spans, contentsQuiet.Seconds())
	if err != nil {
		return nil, err
	}
	found := map[spanKey]storedExecution{}
	var key spanKey
	var one storedExecution
	_, err = pgx.ForEachRow(rows, []any{&key.trace, &key.span, &one.user, &one.createdAt, &one.id, &one.hasInput, &one.hasOutput}, func() error {
		found[key] = one
		return nil
	})
	return found, err
}

// join deletes a span's pending contents and sets the payloads that its execution lacks. It
// returns the number of contents.
func (s *Contents) join(ctx context.Context, tx pgx.Tx, key spanKey, to storedExecution) (n int, err error) {
	rows, err := tx.Query(ctx, `-- name: DropContents :many
WITH dropped AS (DELETE FROM pending_contents WHERE trace_id = $1 AND span_id = $2 RETURNING *)
SELECT message, input, output FROM dropped ORDER BY said_at, place, digest LIMIT $3`, key.trace, key.span, maxSpanContents)
	if err != nil {
		return 0, err
	}
	var contents []execution.Content
	var one execution.Content
	var input, output *string
	_, err = pgx.ForEachRow(rows, []any{&one.Message, &input, &output}, func() error {
		one.Input, one.Output = raw(input), raw(output)
		contents = append(contents, one)
		return nil
	})
	if err != nil {
		return 0, err
	}
	merged := execution.Execution{}
	merged.Input, merged.Output = execution.Merge(contents)
	if to.hasInput {
		merged.Input = nil
	}
	if to.hasOutput {
		merged.Output = nil
	}
	if tooLarge := s.policy.Apply(&merged); tooLarge != nil { // too large together, and cannot be truncated
		merged.Input, merged.Output = nil, nil
	}
	_, err = tx.Exec(ctx, `-- name: SetContents :exec
UPDATE agent_executions SET input_json = COALESCE(input_json, $4), output_json = COALESCE(output_json, $5)
WHERE user_id = $1 AND created_at = $2 AND execution_id = $3`, to.user, to.createdAt, to.id, text(merged.Input), text(merged.Output))
	return len(contents), err
}

func raw(text *string) json.RawMessage {
	if text == nil {
		return nil
	}
	return json.RawMessage(*text)
}

// CleanUp deletes contents whose executions did not arrive within contentsKept.
func (s *Contents) CleanUp(ctx context.Context) error {
	return drop("delete old log records", rollupDeleteRows, func() (n int64, err error) {
		err = s.db.inTxAs(ctx, admin, "delete old log records", func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, `-- name: DropOldContents :execrows
DELETE FROM pending_contents WHERE (trace_id, span_id, digest) IN (
	SELECT trace_id, span_id, digest FROM pending_contents WHERE since < now() - $1::float8 * interval '1 second'
	ORDER BY trace_id, span_id, digest LIMIT $2 FOR UPDATE SKIP LOCKED)`, contentsKept.Seconds(), rollupDeleteRows)
			n = tag.RowsAffected()
			return err
		})
		if err == nil {
			s.count(func(sample *metrics.ContentSample) { sample.Expired += n })
		}
		return n, err
	})
}
