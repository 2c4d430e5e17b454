{{- /* Where the controller looks, and where it may make reports. Both are JSON lists in an object, for fromJson. */ -}}

{{- define "watchbill.everywhere" -}}
{{- if has "*" .Values.reportNamespaces }}yes{{ end -}}
{{- end -}}

{{- /* The namespaces where the controller writes; none if that is everywhere. */ -}}
{{- define "watchbill.reportNamespaces" -}}
{{- $names := .Values.reportNamespaces | default (list .Release.Namespace) -}}
{{- if include "watchbill.everywhere" . }}{{ $names = .Values.watchNamespaces }}{{ end -}}
{{- dict "names" ($names | uniq | sortAlpha) | toJson -}}
{{- end -}}

{{- /* Whether to make a ServiceMonitor or PrometheusRule. Takes a list: the root and the value. */ -}}
{{- define "watchbill.monitoring" -}}
{{- $wanted := index . 1 | toString -}}
{{- if or (eq $wanted "true") (and (eq $wanted "auto") ((index . 0).Capabilities.APIVersions.Has "monitoring.coreos.com/v1")) }}yes{{ end -}}
{{- end -}}

{{- /* The value of the label job of a component's series: the ServiceMonitor takes it from the Service. */ -}}
{{- define "watchbill.job" -}}
{{- printf "%s-%s" (include "watchbill.fullname" (index . 0)) (index . 1) -}}
{{- end -}}

{{- /* Matchers for a component's series, as in {…}. Takes a list: the root and the component. */ -}}
{{- define "watchbill.matchers" -}}
{{- printf "job=%q,namespace=%q" (include "watchbill.job" .) (index . 0).Release.Namespace -}}
{{- end -}}

{{- /* The flags' selector of a component's series: what is given, or what a ServiceMonitor gives them. */ -}}
{{- define "watchbill.metricsSelector" -}}
{{- $root := index . 0 -}}
{{- $given := index . 2 -}}
{{- if and (not $given) (include "watchbill.monitoring" (list $root $root.Values.serviceMonitor.enabled)) -}}
{{- $given = dict "job" (include "watchbill.job" .) "namespace" $root.Release.Namespace -}}
{{- end -}}
{{- $pairs := list -}}
{{- range $name, $value := $given }}{{ $pairs = append $pairs (printf "%s=%s" $name $value) }}{{ end -}}
{{- join "," $pairs -}}
{{- end -}}
