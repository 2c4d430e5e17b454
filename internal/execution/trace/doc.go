// Package trace decides how the spans of a trace become executions: which spans are steps of a run, which describe the
// same model call, which agent, user and session each belongs to, and how runs ended. It uses no database and no clock:
// the same spans give the same result, in whatever order and in however many exports they arrive.
package trace
