// Package report computes reports over a window of time: it takes the figures of the rollups (Facts), evaluates the
// objectives against them and returns the report (Document), which Render formats for people and programs. The metrics
// endpoints use the same facts, so they cannot disagree with reports. Analyser summarizes Watchbill's own log files for
// a section.
//
// The package is pure: no database, no files, no clock. Its callers load Facts and store documents.
//
// No figure is ever NaN: without a sample (no request, no time covered, no agent) a pointer is nil and the JSON is
// null. Latencies are milliseconds here and seconds in sketches, money is US dollars here and nano-dollars in facts;
// ratios are from 0 to 1.
package report
