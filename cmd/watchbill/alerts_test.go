package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAlerts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer       string
		code         int
		stdout, fail string
	}{
		"not configured": {`{"status":"success","configured":false,"read_at":"2026-11-30T09:00:00Z","total":0,"firing":0,"alerts":[]}`, 1, "", "--alerts-url"},
		"not known":      {`{"status":"success","configured":true,"fault":"cannot reach it","read_at":"2026-11-30T09:00:00Z","total":0,"firing":0,"alerts":[]}`, 1, "", "the alerts are not known: cannot reach it"},
		"none":           {`{"status":"success","configured":true,"read_at":"2026-11-30T09:00:00Z","total":0,"firing":0,"alerts":[]}`, 0, "", "no alert is active"},
		"some": {
			`{"status":"success","configured":true,"source":"prometheus","read_at":"2026-11-30T09:00:00Z","total":3,"firing":1,"alerts":[
			{"name":"Slow\u001b[31m","severity":"critical","state":"firing","since":"2026-01-15T08:30:00Z","summary":"It is slow","labels":{}},
			{"name":"Full","severity":"","state":"pending","since":"2026-01-15T09:29:00Z","labels":{}}]}`, 0,
			"firing   critical  Slow\ufffd[31m  60m  It is slow", "1 more are active",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t, map[string]http.HandlerFunc{"GET /api/admin/alerts": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, c.answer)
			}})
			got := a.run(t.Context(), "alerts")
			if got.code != c.code || !strings.Contains(got.out, c.stdout) || !strings.Contains(got.err, c.fail) {
				t.Errorf("got %+v", got)
			}
		})
	}
}
