package endpoint

import "net/http"

// Access is the kind of caller that may use a route.
type Access int

// The kinds of callers.
const (
	Everyone     Access = iota
	Prober              // everyone, for health checks; not counted in figures
	Admin               // an admin; any other token, or none, gets 403
	TokenIssuer         // an admin with a token: a session issues no tokens
	Enroller            // the enrollment token, or an admin
	AgentOnly           // an agent
	AgentOrAdmin        // an agent, or an admin
	LogReader           // an agent, or an admin, who may have a session
	Ingester            // the ingest token; admins are rejected too
	Exporter            // like Ingester, over OpenTelemetry's protocol, which has its own errors
	Reporter            // an admin, or a Kubernetes ServiceAccount; any other token, or none, gets 403
	SignedIn            // a browser's session; any token, or none, gets 401
	Accesses            // their number
)

// Route is one operation of the API.
type Route struct {
	Method  string
	Pattern string // a path with at most one wildcard, as in /api/agents/{agent_id}
	Access  Access
	Serve   Handler
}

// Get returns the route of a GET request.
func Get(pattern string, who Access, serve Handler) Route {
	return Route{http.MethodGet, pattern, who, serve}
}

// Post returns the route of a POST request.
func Post(pattern string, who Access, serve Handler) Route {
	return Route{http.MethodPost, pattern, who, serve}
}

// Delete returns the route of a DELETE request.
func Delete(pattern string, who Access, serve Handler) Route {
	return Route{http.MethodDelete, pattern, who, serve}
}
