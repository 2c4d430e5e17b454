{{- /* Replicas of the API; nothing where the number is left to the HorizontalPodAutoscaler from the start.

With autoscaling, a Deployment that stands keeps the number that it has: to leave the number out would make it 1 at once, at
the first upgrade with autoscaling or, as Helm merges, at any later one. The same holds for the upgrade that takes the
HorizontalPodAutoscaler away. What renders charts without a cluster finds nothing that stands. */ -}}
{{- define "watchbill.api.replicas" -}}
{{- $api := .Values.api -}}
{{- $name := printf "%s-api" (include "watchbill.fullname" .) -}}
{{- $deployment := lookup "apps/v1" "Deployment" .Release.Namespace $name -}}
{{- if $api.autoscaling.enabled -}}
{{- if $deployment -}}
{{- max (int (dig "spec" "replicas" 0 $deployment)) (int $api.autoscaling.minReplicas) -}}
{{- end -}}
{{- else if and $deployment (lookup "autoscaling/v2" "HorizontalPodAutoscaler" .Release.Namespace $name) -}}
{{- max (int (dig "spec" "replicas" 0 $deployment)) (int $api.replicas) -}}
{{- else -}}
{{- $api.replicas -}}
{{- end -}}
{{- end -}}
