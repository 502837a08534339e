{{/* Quantities as numbers: 250m, 1 -> 250, 1000 */}}
{{- define "detection.milli" -}}
{{- $q := toString . }}
{{- if hasSuffix "m" $q }}{{ trimSuffix "m" $q | int64 }}{{- else }}{{ mul 1000 (int64 $q) }}{{- end }}
{{- end }}

{{/* 512Mi, 1Gi -> bytes */}}
{{- define "detection.bytes" -}}
{{- $q := toString . }}
{{- if hasSuffix "Ki" $q }}{{ mul 1024 (trimSuffix "Ki" $q | int64) }}
{{- else if hasSuffix "Mi" $q }}{{ mul 1048576 (trimSuffix "Mi" $q | int64) }}
{{- else if hasSuffix "Gi" $q }}{{ mul 1073741824 (trimSuffix "Gi" $q | int64) }}
{{- else if hasSuffix "Ti" $q }}{{ mul 1099511627776 (trimSuffix "Ti" $q | int64) }}
{{- end }}
{{- end }}

{{/* And back, in the form that the API server gives them: else they differ for ever. */}}
{{- define "detection.fromMilli" -}}
{{- $n := int64 . }}
{{- if mod $n 1000 }}{{ $n }}m{{- else }}{{ div $n 1000 }}{{- end }}
{{- end }}
{{- define "detection.fromBytes" -}}
{{- $n := int64 . }}
{{- if not $n }}0{{- else if mod $n 1048576 }}{{ div $n 1024 }}Ki{{- else if mod $n 1073741824 }}{{ div $n 1048576 }}Mi{{- else }}{{ div $n 1073741824 }}Gi{{- end }}
{{- end }}

{{/* Most pods of one slot, without a surge. */}}
{{- define "detection.most" -}}
{{- ternary .Values.autoscaling.maxReplicas .Values.replicas .Values.autoscaling.enabled | int }}
{{- end }}

{{/* Pods over that while a slot changes: 25% of 10 is 3. Without slots the old pod goes first. */}}
{{- define "detection.surge" -}}
{{- if not .Values.slots.enabled }}0
{{- else }}
{{- $s := include "detection.text" .Values.rollout.maxSurge }}
{{- if hasSuffix "%" $s }}{{ div (add (mul (include "detection.most" . | int) (trimSuffix "%" $s | int)) 99) 100 }}{{- else }}{{ $s }}{{- end }}
{{- end }}
{{- end }}

{{/* Pods of the service that may exist at once, those that terminate included; and with the jobs. */}}
{{- define "detection.pods" -}}
{{- $most := include "detection.most" . | int }}{{- $surge := include "detection.surge" . | int }}
{{- if .Values.slots.enabled }}{{ add (mul 2 (add $most $surge)) (mul .Values.quota.terminatingBatches $surge) .Values.quota.jobs }}
{{- else }}{{ add $most 1 .Values.quota.jobs }}
{{- end }}
{{- end }}

{{/* The sum for all of them, and for the servers of the database: dict "root" . "section" requests|limits "resource" cpu|memory|... */}}
{{- define "detection.total" -}}
{{- $pods := include "detection.pods" .root | int }}
{{- $unit := ternary "detection.milli" "detection.bytes" (eq .resource "cpu") }}
{{- $sum := mul $pods (include $unit (get (get .root.Values.resources .section) .resource) | int64) }}
{{- if .root.Values.cloudnativepg.enabled }}
{{- /* One more than its servers: the operator's jobs bring up a new one beside them. */}}
{{- $each := include $unit (get (get .root.Values.cloudnativepg.resources .section) .resource) | int64 }}
{{- $sum = add $sum (mul (add1 .root.Values.cloudnativepg.instances) $each) }}
{{- end }}
{{- include (ternary "detection.fromMilli" "detection.fromBytes" (eq .resource "cpu")) $sum }}
{{- end }}
