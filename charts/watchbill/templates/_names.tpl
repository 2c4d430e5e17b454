{{- /* Names, labels and images. Everything that is included by more than one file is in a file with an underscore. */ -}}

{{- /* A name of at most 40 characters that ends in a letter or digit. */ -}}
{{- define "watchbill.cut" -}}
{{- regexReplaceAll "[^A-Za-z0-9]+$" (trunc 40 .) "" -}}
{{- end -}}

{{- /* What of a text a label may have: less than the whole where it is too long, or has other characters or ends. */ -}}
{{- define "watchbill.labelValue" -}}
{{- $text := regexReplaceAll "[^-A-Za-z0-9_.]" . "_" -}}
{{- $text = regexReplaceAll "^[^A-Za-z0-9]+" $text "" -}}
{{- regexReplaceAll "[^A-Za-z0-9]+$" (trunc 63 $text) "" -}}
{{- end -}}

{{- define "watchbill.name" -}}
{{- include "watchbill.cut" (default .Chart.Name .Values.nameOverride) -}}
{{- end -}}

{{- /* At most 40 characters, so that what is put behind it fits into a label. */ -}}
{{- define "watchbill.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- include "watchbill.cut" .Values.fullnameOverride -}}
{{- else -}}
{{- $name := include "watchbill.name" . -}}
{{- if contains $name .Release.Name -}}
{{- include "watchbill.cut" .Release.Name -}}
{{- else -}}
{{- include "watchbill.cut" (printf "%s-%s" .Release.Name $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Takes a list: the root and the component (api, controller, postgresql, test). */ -}}
{{- define "watchbill.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "watchbill.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- /* Takes a list: the root and the component. */ -}}
{{- define "watchbill.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ include "watchbill.labelValue" (printf "%s-%s" $root.Chart.Name $root.Chart.Version) }}
{{ include "watchbill.selectorLabels" . }}
{{- with include "watchbill.labelValue" ($root.Values.image.tag | default $root.Chart.AppVersion) }}
app.kubernetes.io/version: {{ . | quote }}
{{- end }}
app.kubernetes.io/part-of: watchbill
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Of Pods. No versions: a new chart alone must restart nothing. Takes a list: the root and the component. */ -}}
{{- define "watchbill.podLabels" -}}
{{ include "watchbill.selectorLabels" . }}
app.kubernetes.io/part-of: watchbill
{{- with (index . 0).Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Takes a list: an image's values and the tag where they have none. */ -}}
{{- define "watchbill.imageOf" -}}
{{- $image := index . 0 -}}
{{- with $image.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default (index . 1) }}{{ end -}}
{{- end -}}

{{- define "watchbill.image" -}}
{{- include "watchbill.imageOf" (list .Values.image .Chart.AppVersion) -}}
{{- end -}}

{{- define "watchbill.imagePullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "watchbill.api.serviceAccount" -}}
{{- $given := .Values.api.serviceAccount -}}
{{- if $given.create }}{{ $given.name | default (printf "%s-api" (include "watchbill.fullname" .)) }}{{ else }}{{ $given.name | default "default" }}{{ end -}}
{{- end -}}

{{- define "watchbill.controller.serviceAccount" -}}
{{- $given := .Values.controller.serviceAccount -}}
{{- if $given.create }}{{ $given.name | default (printf "%s-controller" (include "watchbill.fullname" .)) }}{{ else }}{{ $given.name | default "default" }}{{ end -}}
{{- end -}}

{{- define "watchbill.tokensSecret" -}}
{{- .Values.tokens.existingSecret | default (printf "%s-tokens" (include "watchbill.fullname" .)) -}}
{{- end -}}

{{- /* URL of the API as Pods of any namespace reach it. */ -}}
{{- define "watchbill.server" -}}
{{- if .Values.controller.server -}}
{{- .Values.controller.server -}}
{{- else -}}
{{- include "watchbill.serviceURL" . -}}
{{- end -}}
{{- end -}}

{{- define "watchbill.serviceURL" -}}
{{- printf "%s://%s-api.%s.svc:%d" (ternary "https" "http" (ne .Values.api.tls.secretName "")) (include "watchbill.fullname" .) .Release.Namespace (int .Values.api.service.port) -}}
{{- end -}}
