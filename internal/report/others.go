package report

import "slices"

// probeRoutes are the routes of health checks, which are no event of any objective.
var probeRoutes = []string{"/livez", "/readyz", "/api/health"}

// IsProbe reports whether a route is a health check.
func IsProbe(route string) bool { return slices.Contains(probeRoutes, route) }

// Others counts responses that are in no other figure.
type Others struct {
	Requests int64 `json:"requests"`
	// ErrorsByStatus counts the responses with status 400 and above.
	ErrorsByStatus map[int]int64 `json:"errors_by_status"`
}

func othersOf(byStatus map[int]int64) Others {
	o := Others{ErrorsByStatus: map[int]int64{}}
	for status, n := range byStatus {
		o.Requests += n
		if status >= 400 && n > 0 {
			o.ErrorsByStatus[status] = n
		}
	}
	return o
}
