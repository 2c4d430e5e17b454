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
    summary: Measurements were dropped.
    description: {{ `"{{ $labels.pod }} dropped {{ $value | humanize }} measurements within 30 minutes, because the database was unavailable for more than an hour. Reports over that time are incomplete."` }}
  - alert: WatchbillAgentsOffline
    expr: max(watchbill_agents{state="offline", {{- .api -}} }) / sum(max by (state) (watchbill_agents{ {{- .api -}} })) > {{ .offlineRatio }}
    for: 15m
    severity: warning
    summary: Many agents are offline.
    description: {{ `"{{ $value | humanizePercentage }} of the agents have not polled for more than six of their intervals."` }}
  - alert: WatchbillWorkFailing
    expr: max by (job, namespace, work) (watchbill_work_failing{work!~"names|open transactions", {{- .api -}} }) > 0
    for: 2m
    severity: critical
    summary: Watchbill cannot do its work.
    description: {{ `"Writes of one kind fail on at least one replica: {{ $labels.work }}. /api/health says why."` }}
  - alert: WatchbillOldTransaction
    expr: max by (job, namespace) (watchbill_db_oldest_transaction_seconds{ {{- .api -}} }) > 600
    for: 1m
    severity: warning
    summary: A transaction has been open in the database for too long.
    description: {{ `"The oldest transaction has been open for {{ $value | humanizeDuration }}. PostgreSQL cannot remove dead rows meanwhile, so tables grow and queries slow down."` }}
  - alert: WatchbillNamesNearLimit
    expr: max by (job, namespace, kind) (watchbill_execution_names{ {{- .api -}} }) / max by (job, namespace, kind) (watchbill_execution_names_limit{ {{- .api -}} }) >= 0.8
    for: 15m
    severity: warning
    summary: Figures of executions are running out of names.
    description: {{ `"{{ $value | humanizePercentage }} of the names of kind {{ $labels.kind }} are taken. At 100 % new names count as other."` }}
  - alert: WatchbillLogLinesDropped
    expr: increase(watchbill_log_lines_dropped_total{ {{- .api -}} }[15m]) > 0
    for: 1m
    severity: warning
    summary: Log lines were dropped.
    description: {{ `"{{ $labels.pod }} dropped {{ $value | humanize }} lines for {{ $labels.output }} within 15 minutes: the output did not take them in time, or could not be written."` }}
  - alert: WatchbillUsageUnknown
    expr: sum by (job, namespace) (increase(watchbill_executions_unknown_usage_total{ {{- .api -}} }[1h])) / (sum by (job, namespace) (increase(watchbill_executions_total{ {{- .api -}} }[1h])) > 0) > {{ .unknownUsageRatio }}
    for: 30m
    severity: warning
    summary: What many executions used is unknown.
    description: {{ `"Executions of unknown or estimated usage were {{ $value | humanizePercentage }} of the requests within an hour. Costs leave out what they used, so they are too low."` }}
{{- end -}}
