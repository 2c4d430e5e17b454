package objective

import "github.com/watchbill/watchbill/internal/number"

// ErrorRate requires the share of 5xx in all responses below a limit.
type ErrorRate struct {
	Max   string `json:"max"`             // above 0, at most 1
	Route string `json:"route,omitempty"` // empty: all routes
}

func (o *ErrorRate) resolve(f fields) Resolved {
	r := Resolved{Description: "5xx in all responses", Unit: UnitRatio, Comparison: Below, Route: o.Route}
	if o.Route != "" {
		f.route("route", o.Route)
		r.Description = "5xx in the responses of " + o.Route
	}
	r.Target = f.decimal("max", o.Max, 1)
	r.Budget = r.Target
	r.measure = func(d Data) reading {
		t := d.Traffic("", o.Route)
		rate := share(t.Errors, t.Responses)
		return reading{actual: rate, bad: rate, detail: number.Grouped(t.Errors) + " in " + number.Counted(t.Responses, "answer")}
	}
	return r
}
