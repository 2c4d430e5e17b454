package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/objective"
)

// Route is a route of the API.
type Route struct {
	Method, Pattern string // requests are counted by pattern: /api/agents/{agent_id}
	Probe           bool   // a health check, which no objective counts
}

// routeNote returns why an objective about a route would never have data, or "".
func (p *plan) routeNote(o objective.Resolved) string {
	method, pattern := o.Method, o.Route
	if pattern == "" || len(p.routes) == 0 {
		return ""
	}
	var methods []string
	for _, route := range p.routes {
		if route.Pattern == pattern && route.Probe {
			return "no data: " + pattern + " is a health check, and health checks do not count for objectives"
		}
		if route.Pattern == pattern {
			methods = append(methods, route.Method)
		}
	}
	switch {
	case len(methods) == 0:
		return noSuchRoute(pattern, p.routes)
	case method != "" && !slices.Contains(methods, method):
		slices.Sort(methods)
		return fmt.Sprintf("no data: %s has no method %s, but %s", pattern, method, strings.Join(methods, ", "))
	}
	return ""
}

// noSuchRoute returns a note with the pattern that was probably meant: that of a path, or one with another parameter name.
func noSuchRoute(path string, routes []Route) string {
	note := "no data: the API has no route " + path
	at := slices.IndexFunc(routes, func(r Route) bool { return alike(r.Pattern, path) })
	if at < 0 {
		return note
	}
	return note + "; requests like it are counted as " + routes[at].Pattern
}

// alike reports whether a path matches a pattern with any values of its parameters, ignoring a query, a trailing slash
// and case.
func alike(pattern, path string) bool {
	path, _, _ = strings.Cut(path, "?")
	want, got := strings.Split(pattern, "/"), strings.Split(strings.TrimRight(path, "/"), "/")
	return slices.EqualFunc(want, got, func(want, got string) bool {
		return strings.HasPrefix(want, "{") && got != "" || strings.EqualFold(want, got)
	})
}
