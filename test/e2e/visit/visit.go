// Package visit defines the messages between the end-to-end tests and the visitor.
package visit

import "time"

// Delivery is a request that the inbox received.
type Delivery struct {
	At          time.Time `json:"at"`
	ContentType string    `json:"content_type"`
	UserAgent   string    `json:"user_agent"`
	Body        string    `json:"body"`
	Answer      int       `json:"answer"` // the status code of the response
}

// Fleet describes a fleet to run against the API.
type Fleet struct {
	Server          string `json:"server"`
	Name            string `json:"name"` // prefix of the agents' ids; the executions' user
	AdminToken      string `json:"admin_token"`
	EnrollmentToken string `json:"enrollment_token"`
	IngestToken     string `json:"ingest_token"`
	Agents          int    `json:"agents"`           // half of them use held polls, the others poll every second
	DeployEveryMS   int    `json:"deploy_every_ms"`  // 0: never
	ExecuteEveryMS  int    `json:"execute_every_ms"` // 0: never
}

// Log is what a fleet saw.
type Log struct {
	Requests int            `json:"requests"`
	Statuses map[int]int    `json:"statuses"` // number of responses by code
	Broken   int            `json:"broken"`   // refused or broken connections, before one retry
	Failures []Failure      `json:"failures"` // up to MaxFailures
	Failed   int            `json:"failed"`   // the number of all failures
	Stored   []string       `json:"stored"`   // ids of executions acknowledged as stored
	Deployed []string       `json:"deployed"` // ids of acknowledged deployments
	Runs     map[string]int `json:"runs"`     // how often each deployment was run
	Trouble  string         `json:"trouble"`  // why the fleet does not work; empty if it does
}

// MaxFailures is the maximum number of failures in a log.
const MaxFailures = 100

// Failure is a request that failed: on its second connection too, or with status 429 or 500 and above.
type Failure struct {
	At      time.Time `json:"at"`
	Request string    `json:"request"`
	Reason  string    `json:"reason"`
}
