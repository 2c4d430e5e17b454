// Package visit is what the end-to-end tests and their visitor say to one another.
package visit

import "time"

// Letter is what was sent to the inbox.
type Letter struct {
	At          time.Time `json:"at"`
	ContentType string    `json:"content_type"`
	UserAgent   string    `json:"user_agent"`
	Body        string    `json:"body"`
	Answer      int       `json:"answer"` // the status code
}

// Fleet is a fleet that is to visit the API.
type Fleet struct {
	Server          string `json:"server"`
	Name            string `json:"name"` // begins the agents' ids; the executions' user
	AdminToken      string `json:"admin_token"`
	EnrollmentToken string `json:"enrollment_token"`
	IngestToken     string `json:"ingest_token"`
	Agents          int    `json:"agents"`           // half of them hold their polls, the others poll every second
	DeployEveryMS   int    `json:"deploy_every_ms"`  // 0: never
	ExecuteEveryMS  int    `json:"execute_every_ms"` // 0: never
}

// Log is what a fleet saw.
type Log struct {
	Requests int            `json:"requests"`
	Statuses map[int]int    `json:"statuses"` // of answers, by code
	Broken   int            `json:"broken"`   // connections that were refused or broken, before one other try
	Failures []Failure      `json:"failures"` // at most MaxFailures
	Failed   int            `json:"failed"`   // all of them
	Stored   []string       `json:"stored"`   // ids of executions that the API said were stored
	Deployed []string       `json:"deployed"` // ids of deployments that the API said were made
	Runs     map[string]int `json:"runs"`     // how often each deployment was run
	Trouble  string         `json:"trouble"`  // why the fleet is not at work; empty if it is
}

// MaxFailures is how many failures a log tells of.
const MaxFailures = 100

// Failure is a request that failed: its second connection too, or with a status from 500 on, or 429.
type Failure struct {
	At      time.Time `json:"at"`
	Request string    `json:"request"`
	Reason  string    `json:"reason"`
}
