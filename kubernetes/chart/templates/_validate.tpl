{{/* What values.schema.json cannot say: values that do not go together. All of it at once, each with what to do. */}}
{{- define "detection.validate" -}}
{{- $v := .Values }}{{- $e := list }}
{{- $slots := $v.slots }}{{- $a := $v.autoscaling }}{{- $pdb := $v.podDisruptionBudget }}
{{- $least := ternary $a.minReplicas $v.replicas $a.enabled | int }}

{{- if and $a.enabled (gt (int $a.minReplicas) (int $a.maxReplicas)) }}
{{- $e = append $e (printf "autoscaling.minReplicas (%d) is over autoscaling.maxReplicas (%d)" (int $a.minReplicas) (int $a.maxReplicas)) }}
{{- end }}
{{- if and $pdb.enabled (ge (int $pdb.minAvailable) $least) }}
{{- $e = append $e (printf "podDisruptionBudget.minAvailable (%d) must be less than the least pods of a slot (%d): it would stop every drain" (int $pdb.minAvailable) $least) }}
{{- end }}

{{- if $slots.enabled }}
{{- if ne (get $slots $slots.active).state "running" }}
{{- $e = append $e (printf "slots.%s.state is idle, but it is slots.active: the Service would select nothing" $slots.active) }}
{{- end }}
{{- range $name := list "blue" "green" }}
{{- $s := get $slots $name }}
{{- if $s.minReplicas }}
{{- if not $a.enabled }}
{{- $e = append $e (printf "slots.%s.minReplicas needs autoscaling.enabled: without it `replicas` says how many" $name) }}
{{- else if eq $s.state "idle" }}
{{- $e = append $e (printf "slots.%s.minReplicas is set, but the slot is idle" $name) }}
{{- else if or (gt (int $s.minReplicas) (int $a.maxReplicas)) (lt (int $s.minReplicas) (int $a.minReplicas)) }}
{{- $e = append $e (printf "slots.%s.minReplicas (%d) is outside of autoscaling (%d to %d)" $name (int $s.minReplicas) (int $a.minReplicas) (int $a.maxReplicas)) }}
{{- end }}
{{- end }}
{{- end }}
{{- with $v.hooks.migrate.slot }}
{{- if ne (get $slots .).state "running" }}
{{- $e = append $e (printf "hooks.migrate.slot: %s is idle, its image need not exist" .) }}
{{- end }}
{{- end }}
{{- if and (not $v.cloudnativepg.enabled) (not $v.database.host) }}
{{- $e = append $e "database.host is empty" }}
{{- end }}
{{- if and $v.cloudnativepg.enabled $v.database.host }}
{{- $e = append $e "database.host must be empty with cloudnativepg.enabled: the service would use another database" }}
{{- end }}
{{- if and $v.cloudnativepg.enabled (ne (int $v.database.port) 5432) }}
{{- $e = append $e "database.port must be 5432 with cloudnativepg.enabled" }}
{{- end }}
{{- if and $v.networkPolicy.enabled (not $v.cloudnativepg.enabled) (not $v.database.peers) }}
{{- $e = append $e "database.peers is empty: the network policy would close the way to the database" }}
{{- end }}
{{- else if $v.cloudnativepg.enabled }}
{{- $e = append $e "cloudnativepg.enabled needs database.engine postgresql" }}
{{- end }}

{{- if $v.networkPolicy.enabled }}
{{- if not $v.tak.network }}
{{- $e = append $e "tak.network is empty: the network policy would close the way to TAK" }}
{{- end }}
{{- $open := list }}{{- range $v.tak.network }}{{- $open = append $open (printf "%s/%d" .protocol (int .port)) }}{{- end }}
{{- range $v.tak.sinks }}
{{- $protocol := ternary "UDP" "TCP" (hasPrefix "udp://" .url) }}
{{- $port := regexFind "^[a-z]+://[^/?]*:[0-9]+" .url | regexFind "[0-9]+$" }}
{{- if not (has (printf "%s/%s" $protocol $port) $open) }}
{{- $e = append $e (printf "tak.sinks: %s goes to %s port %s, which no item of tak.network opens" .name $protocol $port) }}
{{- end }}
{{- end }}
{{- end }}
{{- $names := list }}{{- range $v.tak.sinks }}
{{- if has .name $names }}{{- $e = append $e (printf "tak.sinks: the name %s is there twice" .name) }}{{- end }}
{{- $names = append $names .name }}{{- end }}

{{- if eq (int $v.service.port) (int $v.service.metricsPort) }}
{{- $e = append $e "service.port and service.metricsPort are the same" }}
{{- end }}
{{- if lt (int $v.shutdown.gracePeriodSeconds) (add 15 $v.shutdown.preStopSeconds | int) }}
{{- $e = append $e "shutdown.gracePeriodSeconds must leave 15 s after shutdown.preStopSeconds" }}
{{- end }}
{{- range $name, $p := $v.probes }}
{{- if gt (int $p.timeoutSeconds) (int $p.periodSeconds) }}
{{- $e = append $e (printf "probes.%s.timeoutSeconds is over its periodSeconds" $name) }}
{{- end }}
{{- end }}
{{- if gt (int $v.serviceMonitor.timeoutSeconds) (int $v.serviceMonitor.intervalSeconds) }}
{{- $e = append $e "serviceMonitor.timeoutSeconds is over its intervalSeconds" }}
{{- end }}
{{- if lt (int $v.rollout.progressDeadlineSeconds) (add 60 $v.rollout.minReadySeconds | int) }}
{{- $e = append $e "rollout.progressDeadlineSeconds must be 60 s over rollout.minReadySeconds" }}
{{- end }}
{{- if and $slots.enabled (le (include "detection.bytes" (index $v.resources.limits "ephemeral-storage") | int64) (include "detection.bytes" $v.spool.sizeLimit | int64)) }}
{{- $e = append $e "resources.limits.ephemeral-storage must be over spool.sizeLimit: a full spool would have its pod evicted" }}
{{- end }}
{{- if and $v.ingress.enabled (hasKey $v.ingress.annotations "cert-manager.io/cluster-issuer") }}
{{- $e = append $e "ingress.annotations: the issuer is ingress.clusterIssuer" }}
{{- end }}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parents) }}
{{- $e = append $e "httpRoute.parents is empty: the route would hang on nothing" }}
{{- end }}

{{- with $v.backup }}
{{- if and $v.persistence.backup.enabled $v.networkPolicy.enabled .s3.url (not .s3.network) }}
{{- $e = append $e "backup.s3.network is empty: the network policy would close the way to the bucket" }}
{{- end }}
{{- if and .s3.url (not .s3.secret) (not .s3.podIdentity) }}
{{- $e = append $e "backup.s3 has neither a secret nor podIdentity: the job would have no credentials" }}
{{- end }}
{{- end }}
{{- with $v.litestream }}
{{- if .enabled }}
{{- if $slots.enabled }}{{- $e = append $e "litestream.enabled is for SQLite: PostgreSQL has cloudnativepg.archive, or its host's own" }}{{- end }}
{{- if not .url }}{{- $e = append $e "litestream.url is empty" }}{{- end }}
{{- if and (hasPrefix "file://" .url) (not $v.persistence.backup.enabled) }}
{{- $e = append $e "litestream.url is a folder of the volume detection-backup: it needs persistence.backup.enabled" }}
{{- end }}
{{- if and (hasPrefix "s3://" .url) $v.networkPolicy.enabled (not .network) }}
{{- $e = append $e "litestream.network is empty: the network policy would close the way to the bucket" }}
{{- end }}
{{- end }}
{{- end }}

{{- $of := dict "resources" $v.resources "hooks.resources" $v.hooks.resources "backup.resources" $v.backup.resources "litestream.resources" $v.litestream.resources }}
{{- if $v.cloudnativepg.enabled }}{{- $_ := set $of "cloudnativepg.resources" $v.cloudnativepg.resources }}{{- end }}
{{- range $where, $r := $of }}
{{- range $resource := list "cpu" "memory" "ephemeral-storage" }}
{{- $unit := ternary "detection.milli" "detection.bytes" (eq $resource "cpu") }}
{{- $limit := include $unit (get $r.limits $resource) | int64 }}{{- $request := include $unit (get $r.requests $resource) | int64 }}
{{- if gt $request $limit }}
{{- $e = append $e (printf "%s.requests.%s is over its limit" $where $resource) }}
{{- end }}
{{- if and $v.limitRange.enabled (ne $resource "ephemeral-storage") }}
{{- if gt $limit (include $unit (get $v.limitRange.max $resource) | int64) }}
{{- $e = append $e (printf "%s.limits.%s is over limitRange.max.%s" $where $resource $resource) }}
{{- end }}
{{- if lt $request (include $unit (get $v.limitRange.min $resource) | int64) }}
{{- $e = append $e (printf "%s.requests.%s is under limitRange.min.%s" $where $resource $resource) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if $v.limitRange.enabled }}
{{- range $resource := list "cpu" "memory" }}
{{- $unit := ternary "detection.milli" "detection.bytes" (eq $resource "cpu") }}{{- $before := 0 | int64 }}
{{- range $bound := list "min" "defaultRequest" "default" "max" }}
{{- $this := include $unit (get (get $v.limitRange $bound) $resource) | int64 }}
{{- if lt $this $before }}{{- $e = append $e (printf "limitRange.%s.%s is too small: min <= defaultRequest <= default <= max" $bound $resource) }}{{- end }}
{{- $before = $this }}
{{- end }}
{{- end }}
{{- end }}
{{- if $e }}{{- fail (printf "\n  %s" (join "\n  " $e)) }}{{- end }}
{{- end }}
