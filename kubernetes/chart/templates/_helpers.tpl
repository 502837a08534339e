{{/* Names are fixed (docs/architecture/phase05-kubernetes-production.md): one release in one namespace. */}}
{{- define "detection.name" -}}detection-api{{- end }}

{{- define "detection.selectorLabels" -}}
app.kubernetes.io/name: detection-api
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of objects, never of pods: a new chart must not roll the live slot. */}}
{{- define "detection.labels" -}}
{{ include "detection.selectorLabels" . }}
app.kubernetes.io/part-of: detection-cop
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* metadata of an object: dict "root" . "name" NAME "wave" WAVE ["labels" DICT] ["annotations" DICT] */}}
{{- define "detection.metadata" -}}
name: {{ .name }}
{{- if not .clusterScoped }}
namespace: {{ .root.Values.namespace.name }}
{{- end }}
labels:
  {{- include "detection.labels" .root | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  argocd.argoproj.io/sync-wave: {{ .wave | quote }}
  {{- with .annotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* A value as the environment wants it: whole numbers without an exponent, lists separated by spaces. */}}
{{- define "detection.text" -}}
{{- if kindIs "slice" . -}}
{{- $parts := list }}{{- range . }}{{- $parts = append $parts (include "detection.text" .) }}{{- end }}{{ join " " $parts }}
{{- else if and (kindIs "float64" .) (eq . (floor .)) -}}{{ int64 . }}
{{- else -}}{{ . }}
{{- end -}}
{{- end }}

{{/* dict "root" . "image" IMAGE_OF_A_SLOT: its tag, and its whole reference */}}
{{- define "detection.tag" -}}
{{- .image.tag | default .root.Values.image.tag | default .root.Chart.AppVersion -}}
{{- end }}
{{- define "detection.image" -}}
{{- $repository := .image.repository | default .root.Values.image.repository }}
{{- $digest := .image.digest }}
{{- if not (or $digest .image.tag .image.repository) }}{{- $digest = .root.Values.image.digest }}{{- end }}
{{- printf "%s:%s" $repository (include "detection.tag" .) }}{{- if $digest }}@{{ $digest }}{{- end }}
{{- end }}

{{/* What the database URL and the policies need to know. */}}
{{- define "detection.databaseHost" -}}
{{- if .Values.cloudnativepg.enabled }}detection-db-rw{{- else }}{{ .Values.database.host }}{{- end }}
{{- end }}
{{- define "detection.databaseUrl" -}}
{{- $d := .Values.database -}}
postgresql://{{ include "detection.databaseHost" . }}:{{ int $d.port }}/{{ $d.name }}?sslmode={{ $d.tls.mode }}
{{- if hasPrefix "verify" $d.tls.mode }}&sslrootcert=/etc/detection/database/ca.crt{{- end }}
{{- end }}

{{/* The environment of a slot: dict "root" . "config" CONFIG. A JSON object. */}}
{{- define "detection.environment" -}}
{{- $v := .root.Values }}
{{- $e := dict
  "DETECTION_LISTEN" (printf "%s:%d" $v.service.listenAddress (int $v.service.port))
  "DETECTION_METRICS_LISTEN" (printf "%s:%d" $v.service.listenAddress (int $v.service.metricsPort))
  "DETECTION_DATA_DIR" "/var/lib/detection"
  "DETECTION_TAK_CREDENTIALS" "/etc/detection/tak"
  "DETECTION_JWT_KEY_FILE" "/etc/detection/jwt/secret_key"
  "DETECTION_SHUTDOWN_GRACE" (printf "%ds" (sub (sub $v.shutdown.gracePeriodSeconds $v.shutdown.preStopSeconds) 5)) }}
{{- if $v.secrets.jwtKeys }}{{- $_ := set $e "DETECTION_JWT_KEY_DIR" "/etc/detection/jwt-keys" }}{{- end }}
{{- if eq $v.database.engine "postgresql" }}
{{- $_ := set $e "DETECTION_DATABASE_URL" (include "detection.databaseUrl" .root) }}
{{- $_ := set $e "DETECTION_DATABASE_CREDENTIALS" "/etc/detection/database" }}
{{- /* The rest of the volume is the spool's own log (docs/replicas.md). */}}
{{- $mib := div (include "detection.bytes" $v.spool.sizeLimit | int64) 1048576 }}
{{- $_ := set $e "DETECTION_SPOOL_MAX_BYTES" (printf "%dMiB" (div (mul 3 $mib) 4)) }}
{{- end }}
{{- $sinks := list }}{{- range $v.tak.sinks }}{{- $sinks = append $sinks (printf "%s=%s" .name .url) }}{{- end }}
{{- if $sinks }}{{- $_ := set $e "DETECTION_TAK_SINK" (join " " $sinks) }}{{- end }}
{{- range $key, $value := .config }}{{- $_ := set $e (printf "DETECTION_%s" (upper $key)) (include "detection.text" $value) }}{{- end }}
{{- toJson $e }}
{{- end }}

{{/* Every Deployment, as a JSON list: slot ("" without slots), name, active, state, image, tag, least, environment, config (a name). */}}
{{- define "detection.deployments" -}}
{{- $root := . }}{{- $v := .Values }}{{- $all := list }}
{{- $names := list "" }}{{- if $v.slots.enabled }}{{- $names = list "blue" "green" }}{{- end }}
{{- range $slot := $names }}
{{- $s := dict "state" "running" "minReplicas" nil "image" (dict "repository" "" "tag" "" "digest" "") "config" dict }}
{{- if $slot }}{{- $s = get $v.slots $slot }}{{- end }}
{{- $environment := include "detection.environment" (dict "root" $root "config" (mergeOverwrite (deepCopy $v.config) (deepCopy $s.config))) }}
{{- $of := dict "root" $root "image" $s.image }}
{{- $least := $v.replicas }}{{- if $v.autoscaling.enabled }}{{- $least = $s.minReplicas | default $v.autoscaling.minReplicas }}{{- end }}
{{- $all = append $all (dict "slot" $slot "name" (ternary (printf "detection-api-%s" $slot) "detection-api" (ne $slot ""))
  "active" (or (eq $slot "") (eq $slot $v.slots.active)) "state" $s.state "least" $least
  "image" (include "detection.image" $of) "tag" (include "detection.tag" $of)
  "environment" (fromJson $environment) "config" (printf "detection-api-config-%s" ($environment | sha256sum | trunc 10))) }}
{{- end }}
{{- toJson $all }}
{{- end }}

{{- define "detection.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "detection.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* The volume of /etc/detection/database: dict "root" . "secret" NAME */}}
{{- define "detection.databaseVolume" -}}
{{- $ca := .root.Values.database.tls.caSecret }}
{{- if and (not $ca) .root.Values.cloudnativepg.enabled }}{{- $ca = "detection-db-ca" }}{{- end -}}
name: database
projected:
  defaultMode: 288 # 0440: the group is fsGroup
  sources:
    - secret:
        name: {{ .secret }}
        {{- if $ca }}
        items:
          - {key: username, path: username}
          - {key: password, path: password}
    - secret:
        name: {{ $ca }}
        items:
          - {key: ca.crt, path: ca.crt}
        {{- end }}
{{- end }}
