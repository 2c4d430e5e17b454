package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	reports "github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/test/rig"
)

// reportSeconds creates reports of 24 hours with every section, compared with the previous window, as by default.
func (b *bench) reportSeconds(ctx context.Context, p *past) ([]figure, error) {
	request := rig.Request("POST", "/api/reports", p.server.Address, "Authorization: Bearer "+rig.AdminToken+"\r\n", []byte(`{"hours": 24}`))
	var times []float64
	var doc reports.Document
	for range or(b, 11, 5) {
		began := time.Now()
		response, err := p.reader.Do(request)
		times = append(times, time.Since(began).Seconds())
		if err := readable(response, err, http.StatusCreated); err != nil {
			return nil, err
		}
		doc = reports.Document{}
		if err := json.Unmarshal(response.Body, &doc); err != nil {
			return nil, err
		}
	}
	if err := p.checkReport(ctx, doc); err != nil {
		return nil, err
	}
	b.logf("a report took %.3f s, the first one %.3f s", median(times), times[0])
	return []figure{{"report_seconds", median(times), "s", atMost(0.5)}}, nil
}

// checkReport compares a report's executions, costs and users with the rows.
func (p *past) checkReport(ctx context.Context, doc reports.Document) error {
	s := doc.Sections
	if s.Summary == nil || s.Endpoints == nil || s.PendingDeployments == nil || s.DatabasePool == nil || s.Queries == nil ||
		s.Indexes == nil || s.Errors == nil || s.Executions == nil || s.Costs == nil || s.Users == nil {
		return errors.New("a section of the report is missing")
	}
	naive, _, err := naiveMetrics(ctx, p.db, openapi.ExecutionWindow{From: doc.Window.From, To: doc.Window.To})
	if err != nil {
		return err
	}
	got := naiveSums{
		Count: s.Executions.Count, Successful: s.Executions.Successful, Timeouts: s.Executions.Timeouts, Failed: s.Executions.Failed,
		Used: s.Costs.Tokens.Used, Input: s.Costs.Tokens.Input, Output: s.Costs.Tokens.Output, CacheRead: s.Costs.Tokens.CacheRead,
		CacheWrite: s.Costs.Tokens.CacheWrite, Reasoning: s.Costs.Tokens.Reasoning,
		Cost: naive.total.Cost, Unpriced: s.Costs.UnpricedTokens, millis: naive.total.millis,
	}
	if got != naive.total || s.Costs.CostUSD == nil || !near(*s.Costs.CostUSD, float64(naive.total.Cost)/1e9, 1e-12) {
		return fmt.Errorf("the report says %+v and %v USD, the rows %+v", got, s.Costs.CostUSD, naive.total)
	}
	var active int64 // with more than uses of tools
	if err := p.db.QueryRow(ctx, `SELECT count(DISTINCT user_id) FROM agent_executions
		WHERE created_at >= $1 AND created_at < $2 AND (request OR tokens_used > 0)`,
		s.Users.Window.From, s.Users.Window.To).Scan(&active); err != nil {
		return err
	}
	if s.Users.Active != active {
		return fmt.Errorf("the report says that there were %d users, the rows %d", s.Users.Active, active)
	}
	return nil
}
