package rules

import (
	"fmt"

	"github.com/watchbill/watchbill/internal/objective"
)

// slowerThan counts the observations of a histogram of the API above the threshold.
func (b base) slowerThan(o objective.Resolved, histogram string, matchers []string, labels map[string]string) events {
	bound := seconds(o.Threshold)
	h := observations{
		count:  b.measured(histogram+"_count", matchers...),
		bucket: b.measured(histogram+"_bucket", append([]string{le(o.Threshold)}, matchers...)...),
		bound:  bound,
	}
	if b.target.native {
		h.native = b.measured(histogram, matchers...)
	}
	return events{
		base:   b,
		budget: o.Budget,
		what:   o.Threshold.String(),
		wanted: o.Percentile(),
		all:    h.all(),
		bad:    h.slow(),
		simulation: []feed{
			{histogram + "_count", labels, true, true},
			{histogram + "_bucket", with(labels, "le", bound), true, false},
		},
	}
}

// observations selects the series of a histogram. Each count is compared with its own bucket, and only if both have samples
// for the same part of the 5 minutes, so that a relabeling that drops or restores a replica's bucket does not make requests
// slow. A count without a bucket is compared with the native histogram, if there is one.
type observations struct {
	count, bucket string
	native        string // empty: the engine has no functions for native histograms
	bound         string // in seconds
}

// complete has a sample, with the bucket's labels, for each bucket scraped as often as its count.
func (h observations) complete() string {
	return fmt.Sprintf("(count_over_time(%s[5m]) == ignoring (le) group_right count_over_time(%s[5m]))", h.count, h.bucket)
}

func (h observations) all() string {
	classic := fmt.Sprintf("increase(%s[5m])\n  and ignoring (le)\n  %s", h.count, h.complete())
	if h.native == "" {
		return "sum(\n  " + classic + "\n)"
	}
	return fmt.Sprintf("sum(\n  %s\n  or\n  histogram_count(increase(%s[5m]))\n)", classic, h.native)
}

// slow allows for two spellings of le, and so two buckets per count, for a while after an upgrade of Prometheus.
func (h observations) slow() string {
	classic := fmt.Sprintf("max without (le) (\n    increase(%s[5m]) - ignoring (le) group_right increase(%s[5m])\n    and\n    %s\n  )",
		h.count, h.bucket, h.complete())
	if h.native == "" {
		return "clamp_min(sum(\n  " + classic + "\n), 0)"
	}
	return fmt.Sprintf("clamp_min(sum(\n  %s\n  or\n  "+
		"histogram_count(increase(%[2]s[5m])) * (1 - histogram_fraction(0, %[3]s, increase(%[2]s[5m]))) >= 0\n), 0)", // NaN without events
		classic, h.native, h.bound)
}
