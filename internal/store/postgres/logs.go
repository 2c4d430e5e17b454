package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// logRows is the maximum number of chunks read by one query.
const logRows = 64

// AppendLog appends a chunk to the log of the latest attempt, which must be claimed, and returns the offset of the next
// chunk. Bytes of the chunk that are already stored are skipped.
func (s *Deployments) AppendLog(ctx context.Context, agentID string, id uuid.UUID, attempt int, offset int64, chunk []byte) (int64, error) {
	const doing = "append to a log"
	var end int64
	err := s.db.inTx(ctx, doing, func(q *dbgen.Queries) error {
		d, err := q.LockForLog(ctx, id)
		switch {
		case err != nil:
			return orNotFound(err, fleet.ErrDeploymentNotFound)
		case d.AgentID != agentID:
			return fleet.ErrNotYours
		case int(d.Attempt) != attempt:
			return fleet.ErrStaleAttempt
		case fleet.Status(d.Status) == fleet.Pending:
			return fleet.ErrNotClaimed
		}
		if end, err = logEnd(ctx, q, id, attempt); err != nil {
			return err
		}
		fresh, err := fleet.LogTail(end, offset, chunk)
		if err != nil || len(fresh) == 0 {
			return err
		}
		start := end
		end += int64(len(fresh))
		return q.InsertLogChunk(ctx, dbgen.InsertLogChunkParams{
			DeploymentID: id, Attempt: int32(attempt), StartOffset: start, Chunk: fresh,
		})
	})
	return end, err
}

func logEnd(ctx context.Context, q *dbgen.Queries, id uuid.UUID, attempt int) (int64, error) {
	end, err := q.LogEnd(ctx, dbgen.LogEndParams{DeploymentID: id, Attempt: int32(attempt)})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return end, err
}

// ReadLog returns up to most bytes of an attempt's log from offset. Attempt 0 is the latest that was claimed.
func (s *Deployments) ReadLog(ctx context.Context, id uuid.UUID, attempt int, offset int64, limit int) (fleet.LogPart, error) {
	const doing = "read a log"
	row, err := s.db.queries.GetDeployment(ctx, id)
	if err != nil {
		return fleet.LogPart{}, wrap(doing, orNotFound(err, fleet.ErrDeploymentNotFound))
	}
	d := deployment(row.DeploymentState)
	if attempt == 0 {
		attempt = d.Attempt
		if d.Status == fleet.Pending && attempt > 1 {
			attempt--
		}
	}
	if attempt > d.Attempt {
		return fleet.LogPart{}, fleet.ErrStaleAttempt
	}
	part := fleet.LogPart{Attempt: attempt, Offset: offset}
	whole := false
	for !whole && len(part.Data) <= limit {
		from := offset + int64(len(part.Data))
		chunks, err := s.db.queries.ReadLog(ctx, dbgen.ReadLogParams{
			DeploymentID: id, Attempt: int32(attempt), FromOffset: from, MaxRows: logRows,
		})
		if err != nil {
			return part, wrap(doing, err)
		}
		for _, c := range chunks {
			part.Data = append(part.Data, c.Chunk[max(from-c.StartOffset, 0):]...)
			from = max(from, c.StartOffset+int64(len(c.Chunk)))
		}
		whole = len(chunks) < logRows
	}
	whole = whole && len(part.Data) <= limit
	part.Data = part.Data[:min(len(part.Data), limit)]
	part.Complete = whole && (attempt < d.Attempt || d.Status.Finished())
	return part, nil
}
