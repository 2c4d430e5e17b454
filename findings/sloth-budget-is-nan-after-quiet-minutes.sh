#!/usr/bin/env bash
# The error budget of sloth's rules is NaN for 30 days after 5 minutes without a request.
#
# Seen with sloth v0.16.0, promtool of Prometheus v0.307.3, Go 1.26.8.
#
# slo:sli_error:ratio_rate30d is the mean of the samples of slo:sli_error:ratio_rate5m. One without a request is 0/0, and a
# sum with a NaN in it is NaN, until that sample is 30 days old. So are slo:period_burn_rate:ratio and
# slo:period_error_budget_remaining:ratio. Alerts do not suffer: NaN is above no limit. A total_query that ends in > 0 has no
# sample where there is no request, and a budget.
#
# The series: 100 good requests a minute for 1 h, none for 10 min, 100 a minute again until 2 h.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
build() { # build PACKAGE VERSION
	mkdir "module-${1##*/}"
	(
		cd "module-${1##*/}"
		go mod init example.com/build
		go get -tool "$1@$2"
		go build -trimpath -o .. "$1"
	) >log 2>&1 || { cat log; exit 1; }
}
build github.com/slok/sloth/cmd/sloth v0.16.0
build github.com/prometheus/prometheus/cmd/promtool v0.307.3
cat >test.yaml <<'YAML'
rule_files: [rules.yaml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'requests_total{code="200"}', values: '0+100x60 6000x9 6000+100x50'}
      - {series: 'requests_total{code="500"}', values: '0x120'}
    promql_expr_test:
      - {expr: 'count_values("before", slo:period_error_budget_remaining:ratio)', eval_time: 1h, exp_samples: []}
      - {expr: 'count_values("after", slo:period_error_budget_remaining:ratio)', eval_time: 2h, exp_samples: []}
      - {expr: 'count(ALERTS) or vector(0)', eval_time: 2h, exp_samples: [{labels: '{}', value: 0}]}
YAML
budget() { # budget TOTAL: what is left of it before and after the quiet minutes
	cat >slo.yaml <<YAML
version: prometheus/v1
service: shop
slos:
  - name: errors
    objective: 99
    sli:
      events:
        error_query: sum(rate(requests_total{code=~"5.."}[{{.window}}]))
        total_query: $1
    alerting: {name: Errors}
YAML
	./sloth generate --no-log --input slo.yaml >rules.yaml 2>/dev/null
	# promtool shows what it found only where that was not expected, so it fails here.
	{ ./promtool test rules test.yaml 2>&1 || true; } | grep -oE '(before|after)=\\?"[^"\\]+' | tr -d '\\"'
}
got=$(
	echo as in the examples
	budget 'sum(rate(requests_total[{{.window}}]))'
	echo above 0
	budget 'sum(rate(requests_total[{{.window}}])) > 0'
)
want='as in the examples
before=1
after=NaN
above 0
before=1
after=1'
echo "$got"
[[ $got == "$want" ]] || { echo "this has changed; it was:"; echo "$want"; exit 1; }
