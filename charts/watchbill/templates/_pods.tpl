{{- /* What Pods have in common. */ -}}

{{- /* The restricted Pod Security Standard, and more. Takes the account's number. */ -}}
{{- define "watchbill.podSecurityContext" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ . }}
  runAsGroup: {{ . }}
  fsGroup: {{ . }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "watchbill.securityContext" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- /* Arguments that must not be expanded: Kubernetes takes $(NAME) in them for a variable. Takes a list of texts. */ -}}
{{- define "watchbill.arguments" -}}
{{- range . }}
- {{ replace "$(" "$$(" . | quote }}
{{- end }}
{{- end -}}

{{- /* A value as text. Helm reads numbers as floating point, and would write a million as 1e+06. */ -}}
{{- define "watchbill.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{- /* Where Pods go. Takes a list: the root, the component and its values. */ -}}
{{- define "watchbill.placement" -}}
{{- $values := index . 2 -}}
{{- $where := dict -}}
{{- range list "nodeSelector" "tolerations" "affinity" "priorityClassName" -}}
{{- if get $values . }}{{ $_ := set $where . (get $values .) }}{{ end -}}
{{- end -}}
{{- if hasKey $values "topologySpreadConstraints" -}}
{{- $constraints := $values.topologySpreadConstraints -}}
{{- if not $constraints -}}
{{- $pods := dict "matchLabels" (include "watchbill.selectorLabels" . | fromYaml) -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" -}}
{{- $constraints = append $constraints (dict "maxSkew" 1 "topologyKey" . "whenUnsatisfiable" "ScheduleAnyway" "labelSelector" $pods "matchLabelKeys" (list "pod-template-hash")) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $where "topologySpreadConstraints" $constraints -}}
{{- end -}}
{{- if $where }}{{ toYaml $where }}{{ end -}}
{{- end -}}

{{- /* A Secret's entry: the given value, else the one it has, else a random one. What it has is kept on upgrades; a
rendering without a cluster finds nothing. Takes a list: the Secret, the key, the given value. */ -}}
{{- define "watchbill.keptOrRandom" -}}
{{- $data := (index . 0).data | default dict -}}
{{- $key := index . 1 -}}
{{- if index . 2 -}}
{{- index . 2 | b64enc -}}
{{- else if hasKey $data $key -}}
{{- get $data $key -}}
{{- else -}}
{{- randAlphaNum 40 | b64enc -}}
{{- end -}}
{{- end -}}

{{/* watchbill.memoryEnv tells the Go runtime the limit of the container's memory, so that near it garbage is collected sooner
instead of the container being killed. It takes the resources. */}}
{{- define "watchbill.memoryEnv" -}}
{{- if dig "limits" "memory" "" . }}
- name: GOMEMLIMIT
  valueFrom:
    resourceFieldRef:
      resource: limits.memory
{{- end }}
{{- end }}
