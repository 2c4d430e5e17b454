{{- /* Alerts about Watchbill itself. Those about objectives are the controller's. What Prometheus fills in is written as
{{ "{{ … }}" }}, for Helm to leave it alone. Gauges that every replica has the same go by max. */ -}}
{{- define "watchbill.alerts" -}}
alerts:
  - alert: WatchbillDown
    expr: max by (job, namespace) (up{ {{- .api -}} }) < 1 or absent(up{ {{- .api -}} })
    for: 2m
    severity: critical
    summary: Watchbill's API is down.
    description: Prometheus reaches no replica of {{ .name }}-api in the namespace {{ .namespace }}. Agents get no work, executions are not logged, and no other alert of Watchbill's can fire.
  - alert: WatchbillControllerDown
    expr: max by (job, namespace) (up{ {{- .controller -}} }) < 1 or absent(up{ {{- .controller -}} })
    for: 15m
    severity: warning
    summary: Watchbill's controller is down.
    description: Prometheus reaches no replica of {{ .name }}-controller in the namespace {{ .namespace }}. Reports that are scheduled go on being made; changes to MonitoringReports wait, and their status is out of date.
  - alert: WatchbillLedgerQueueFilling
    expr: watchbill_ledger_queue_rows{ {{- .api -}} } / watchbill_ledger_queue_capacity_rows{ {{- .api -}} } > 0.8
    for: 2m
    severity: critical
    summary: Executions arrive faster than the database takes them.
    description: {{ `"The queue of {{ $labels.pod }} is {{ $value | humanizePercentage }} full. At 100 % executions are refused with 503, and clients must bring them again."` }}
  - alert: WatchbillSpoolFilling
    expr: watchbill_spool_bytes{ {{- .api -}} } / watchbill_spool_capacity_bytes{ {{- .api -}} } > 0.7
    for: 5m
    severity: critical
    summary: Runs of AI agents wait on disk to be stored.
    description: {{ `"The spool of {{ $labels.pod }} is {{ $value | humanizePercentage }} full. At 100 % the gateway refuses runs with 503."` }}
  - alert: WatchbillCommitsFailing
    expr: increase(watchbill_ledger_commit_failures_total{ {{- .api -}} }[5m]) > 0
    for: 5m
    severity: critical
    summary: Executions cannot be stored.
    description: {{ `"{{ $labels.pod }} could not commit {{ $value | humanize }} batches of executions within 5 minutes. Clients get 503; what the gateway ran waits in the spool."` }}
  - alert: WatchbillRollupsDropped
    expr: increase(watchbill_rollups_dropped_total{ {{- .api -}} }[30m]) > 0
    for: 1m
    severity: warning
    summary: Measurements were given up.
    description: {{ `"{{ $labels.pod }} gave up {{ $value | humanize }} measurements within 30 minutes, as the database was away for more than an hour. Reports over that time tell less than there was."` }}
  - alert: WatchbillAgentsOffline
    expr: max(watchbill_agents{state="offline", {{- .api -}} }) / sum(max by (state) (watchbill_agents{ {{- .api -}} })) > {{ .offlineRatio }}
    for: 15m
    severity: warning
    summary: Many agents are offline.
    description: {{ `"{{ $value | humanizePercentage }} of the agents have not polled for more than six of their intervals."` }}
{{- end -}}
