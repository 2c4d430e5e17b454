// Package objective defines the kinds of objectives: their fields, the figure that each limits, how the figure is
// measured, and when the objective is met.
//
// Each kind has a struct for its parameters, a field of Objective that holds it, and an entry in the table
// Objective.kinds. Resolve validates objectives once. Reports measure the result with Resolved.Result, and
// internal/report/rules writes recording rules and alerts from the same Resolved by a table keyed by Kind.
//
// Targets and figures are compared as rational numbers: a target of 0.1 is a tenth, and one error in a hundred
// responses is not below a maximum of 0.01. Floats are only displayed.
package objective
