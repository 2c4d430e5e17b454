package operations

import (
	"context"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// keepUsage is how long the use of the database is kept: reading the sizes of many partitions takes some milliseconds.
const keepUsage = 15 * time.Second

func (a *API) getDatabase(ctx context.Context, _ endpoint.Nothing) (openapi.DatabaseUsage, error) {
	if err := a.reading.Enter(ctx); err != nil {
		return openapi.DatabaseUsage{}, err
	}
	defer a.reading.Leave()
	if age := a.Now().Sub(a.usage.ReadAt); a.usage.Status != "" && age >= 0 && age < keepUsage {
		return a.usage, nil
	}
	found, err := a.Database.Usage(ctx)
	if err != nil {
		return openapi.DatabaseUsage{}, err
	}
	answer := openapi.DatabaseUsage{
		Status: "success", ReadAt: a.Now().UTC(), Bytes: found.Bytes, Tables: make([]openapi.TableUsage, len(found.Tables)), Indexes: make([]openapi.IndexUsage, len(found.Indexes)),
	}
	if !found.Since.IsZero() {
		answer.Since = found.Since.UTC()
	}
	for i, t := range found.Tables {
		answer.Tables[i] = openapi.TableUsage{
			Name: t.Name, Partitions: t.Partitions, Bytes: t.Bytes, Rows: max(t.Rows, 0), DeadRows: t.DeadRows, TableScans: t.TableScans, IndexScans: t.IndexScans,
		}
	}
	for i, x := range found.Indexes {
		answer.Indexes[i] = openapi.IndexUsage{Name: x.Name, Table: x.Table, Scans: x.Scans, Bytes: x.Bytes}
	}
	a.usage = answer
	return answer, nil
}
