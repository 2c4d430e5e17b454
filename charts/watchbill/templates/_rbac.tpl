{{- /* The controller's rights, in three parts by how far they reach. */ -}}

{{- /* What belongs to no namespace, or must be seen in all: which namespaces and kinds there are, and which Prometheus
might select a rule. */ -}}
{{- define "watchbill.rules.cluster" -}}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get, list, watch]
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [get, list, watch]
- apiGroups: [monitoring.coreos.com]
  resources: [prometheuses, thanosrulers]
  verbs: [get, list, watch]
{{- end -}}

{{- /* Where it watches: read what there is, say how the reports are. A report that may not be made gets a status, too. Of
accounts and roles there is one name that concerns it. */ -}}
{{- define "watchbill.rules.watch" -}}
- apiGroups: [monitoring.watchbill.dev]
  resources: [monitoringreports]
  verbs: [get, list, watch]
- apiGroups: [monitoring.watchbill.dev]
  resources: [monitoringreports/status]
  verbs: [get, update, patch]
- apiGroups: [batch]
  resources: [cronjobs, jobs]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [serviceaccounts]
  resourceNames: [watchbill-report]
  verbs: [get, list, watch]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  resourceNames: [watchbill-report]
  verbs: [get, list, watch]
- apiGroups: [monitoring.coreos.com]
  resources: [prometheusrules]
  verbs: [get, list, watch]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch, update]
{{- end -}}

{{- /* Where reports may be made: make what they become. monitoringreports/run is what it grants the reports' account, which
no one may do that without it, and what it reads reports with. An object that is applied is created by its name, so that
names can bound this too. */ -}}
{{- define "watchbill.rules.report" -}}
- apiGroups: [monitoring.watchbill.dev]
  resources: [monitoringreports/finalizers]
  verbs: [update]
- apiGroups: [monitoring.watchbill.dev]
  resources: [monitoringreports/run]
  verbs: [create, get]
- apiGroups: [batch]
  resources: [cronjobs, jobs]
  verbs: [create, update, patch, delete]
- apiGroups: [""]
  resources: [serviceaccounts]
  resourceNames: [watchbill-report]
  verbs: [create, update, patch, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  resourceNames: [watchbill-report]
  verbs: [create, update, patch, delete]
- apiGroups: [monitoring.coreos.com]
  resources: [prometheusrules]
  verbs: [create, update, patch, delete]
{{- end -}}

{{- /* The lease of the leader, in the release's namespace. */ -}}
{{- define "watchbill.rules.leader" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, list, watch, create, update, patch]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch, update]
{{- end -}}

{{- /* A role and its binding to the controller. Takes a dict: root, name, rules (a template's name), and namespace, or none for
the whole cluster. */ -}}
{{- define "watchbill.grant" -}}
{{- $labels := include "watchbill.labels" (list .root "controller") -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "Role" "ClusterRole" (hasKey . "namespace") }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- $labels | nindent 4 }}
rules:
  {{- range .rules }}
  {{- include . $ | nindent 2 }}
  {{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "RoleBinding" "ClusterRoleBinding" (hasKey . "namespace") }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- $labels | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ ternary "Role" "ClusterRole" (hasKey . "namespace") }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "watchbill.controller.serviceAccount" .root }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}
