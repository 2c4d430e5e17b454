{{- /* How Pods reach the database: variables, and the files of TLS. */ -}}

{{- define "watchbill.databaseEnv" -}}
{{- $p := .Values.postgresql -}}
{{- $secret := $p.external.existingSecret -}}
{{- $key := $p.external.urlKey -}}
{{- if eq $p.mode "bundled" -}}
{{- $secret = include "watchbill.postgresql.secret" . -}}
{{- $key = "url" -}}
{{- else if eq $p.mode "cloudnativepg" -}}
{{- $secret = printf "%s-postgresql-app" (include "watchbill.fullname" .) -}}
{{- $key = "uri" -}}
{{- end -}}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ $key }}
{{- if eq $p.mode "external" }}
{{- if $p.external.directUrlKey }}
- name: WATCHBILL_DATABASE_DIRECT_URL
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ $p.external.directUrlKey }}
{{- end }}
{{- with $p.external.tls }}
{{- if or .caSecretName .caConfigMapName }}
# What the URL says itself counts more.
- name: PGSSLMODE
  value: verify-full
- name: PGSSLROOTCERT
  value: /etc/watchbill/database-ca/ca.crt
{{- end }}
{{- if .clientSecretName }}
- name: PGSSLCERT
  value: /etc/watchbill/database-client/tls.crt
- name: PGSSLKEY
  value: /etc/watchbill/database-client/tls.key
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "watchbill.databaseMounts" -}}
{{- if eq .Values.postgresql.mode "external" -}}
{{- with .Values.postgresql.external.tls }}
{{- if or .caSecretName .caConfigMapName }}
- name: database-ca
  mountPath: /etc/watchbill/database-ca
  readOnly: true
{{- end }}
{{- if .clientSecretName }}
- name: database-client
  mountPath: /etc/watchbill/database-client
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "watchbill.databaseVolumes" -}}
{{- if eq .Values.postgresql.mode "external" -}}
{{- with .Values.postgresql.external.tls }}
{{- if .caSecretName }}
- name: database-ca
  secret:
    secretName: {{ .caSecretName }}
    items: [{key: {{ .caKey }}, path: ca.crt}]
{{- else if .caConfigMapName }}
- name: database-ca
  configMap:
    name: {{ .caConfigMapName }}
    items: [{key: {{ .caKey }}, path: ca.crt}]
{{- end }}
{{- if .clientSecretName }}
- name: database-client
  secret:
    secretName: {{ .clientSecretName }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "watchbill.postgresql.secret" -}}
{{- .Values.postgresql.bundled.existingSecret | default (printf "%s-postgresql" (include "watchbill.fullname" .)) -}}
{{- end -}}
