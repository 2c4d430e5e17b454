package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/report"
)

// Route is one that the API has.
type Route struct {
	Method, Pattern string // the pattern is how requests are counted: /api/agents/{agent_id}
	Probe           bool   // a health check, which is no event of any objective
}

// routeNote says why an objective about a route would never have data; nothing if it may.
func (p *plan) routeNote(o report.Objective) string {
	method, pattern := "", ""
	switch {
	case o.Latency != nil:
		method, pattern = o.Latency.Method, o.Latency.Route
	case o.ErrorRate != nil:
		pattern = o.ErrorRate.Route
	}
	if pattern == "" || len(p.routes) == 0 {
		return ""
	}
	var methods []string
	for _, route := range p.routes {
		if route.Pattern == pattern && route.Probe {
			return "no data: " + pattern + " is a health check, and these are events of no objective"
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

// noSuchRoute names the pattern that was likely meant: that of a path, or one with a parameter of another name.
func noSuchRoute(path string, routes []Route) string {
	note := "no data: the API has no route " + path
	at := slices.IndexFunc(routes, func(r Route) bool { return alike(r.Pattern, path) })
	if at < 0 {
		return note
	}
	return note + "; requests like it are counted as " + routes[at].Pattern
}

// alike reports whether a path is one of the pattern's, whatever stands in place of parameters, or would be but for a query,
// a slash at its end, or the case of its letters.
func alike(pattern, path string) bool {
	path, _, _ = strings.Cut(path, "?")
	want, got := strings.Split(pattern, "/"), strings.Split(strings.TrimRight(path, "/"), "/")
	return slices.EqualFunc(want, got, func(want, got string) bool {
		return strings.HasPrefix(want, "{") && got != "" || strings.EqualFold(want, got)
	})
}
