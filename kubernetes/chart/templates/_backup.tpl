{{/* dict "root" . "name" backup|verify "image" IMAGE "args" LIST */}}
{{- define "detection.backupContainer" -}}
{{- $root := .root }}{{- $v := .root.Values }}{{- $b := $v.backup -}}
- name: {{ .name }}
  image: {{ .image }}
  imagePullPolicy: {{ $v.image.pullPolicy }}
  args:
    {{- toYaml .args | nindent 4 }}
  env:
    - name: DETECTION_DATA_DIR
      value: /var/lib/detection
    - name: DETECTION_BACKUP_SHARE
      value: {{ $b.sharePercent | quote }}
    {{- if $v.slots.enabled }}
    - name: DETECTION_DATABASE_URL
      value: {{ include "detection.databaseUrl" $root | quote }}
    - name: DETECTION_DATABASE_CREDENTIALS
      value: /etc/detection/database
    {{- end }}
    {{- if and $b.s3.url (eq .name "backup") }}
    - name: DETECTION_BACKUP_S3
      value: {{ $b.s3.url | quote }}
    - name: DETECTION_BACKUP_S3_REGION
      value: {{ $b.s3.region | quote }}
    {{- with $b.s3.endpoint }}
    - name: DETECTION_BACKUP_S3_ENDPOINT
      value: {{ . | quote }}
    {{- end }}
    {{- if $b.s3.caSecret }}
    - name: DETECTION_BACKUP_S3_CA_FILE
      value: /etc/detection/s3/ca.crt
    {{- end }}
    {{- with $b.s3.secret }}
    {{- range $key := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
    - name: {{ $key }}
      valueFrom:
        secretKeyRef:
          name: {{ $b.s3.secret }}
          key: {{ $key }}
    {{- end }}
    {{- end }}
    {{- end }}
  resources:
    {{- toYaml $b.resources | nindent 4 }}
  securityContext:
    {{- include "detection.containerSecurity" $root | nindent 4 }}
  volumeMounts:
    - name: backup
      mountPath: /var/backups/detection
    {{- if $v.slots.enabled }}
    - name: database
      mountPath: /etc/detection/database
      readOnly: true
    {{- else }}
    - name: data
      mountPath: /var/lib/detection
    {{- end }}
    {{- if and $b.s3.url $b.s3.caSecret (eq .name "backup") }}
    - name: s3
      mountPath: /etc/detection/s3
      readOnly: true
    {{- end }}
{{- end }}

{{/* Pods of backups and of their checks. They have an account of their own, which may have a cloud role; with SQLite they stand on the
node that holds the volume. dict "root" . "component" backup|backup-verify "name" backup|verify "args" LIST ["before" LIST: what is run
before it] ["tries" N]. A Job's spec. */}}
{{- define "detection.backupJobSpec" -}}
{{- $root := .root }}{{- $v := .root.Values }}{{- $b := $v.backup }}
{{- /* The first slot that runs, whichever is active: a switch must not touch these jobs. A program backs up the schema behind its own, too. */}}
{{- $running := dict }}{{- range $d := include "detection.deployments" $root | fromJsonArray }}{{- if and (eq $d.state "running") (not $running) }}{{- $running = $d }}{{- end }}{{- end -}}
backoffLimit: {{ int (.tries | default $b.backoffLimit) }}
activeDeadlineSeconds: {{ int $b.deadlineSeconds }}
template:
  metadata:
    labels:
      {{- include "detection.selectorLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
      app.kubernetes.io/part-of: detection-cop
  spec:
    serviceAccountName: detection-backup
    restartPolicy: Never
    automountServiceAccountToken: false
    enableServiceLinks: false
    {{- with $v.scheduling.nodeSelector }}
    nodeSelector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $v.scheduling.tolerations }}
    tolerations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- if not $v.slots.enabled }}
    affinity:
      podAffinity: # SQLite's volume is on one node; so is the pod that serves from it
        requiredDuringSchedulingIgnoredDuringExecution:
          - topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- include "detection.selectorLabels" $root | nindent 16 }}
                app.kubernetes.io/component: api
    {{- end }}
    securityContext:
      {{- include "detection.podSecurity" $root | nindent 6 }}
    {{- if .before }}
    initContainers:
      {{- include "detection.backupContainer" (dict "root" $root "name" "backup" "image" $running.image "args" .before) | nindent 6 }}
    {{- end }}
    containers:
      {{- include "detection.backupContainer" (dict "root" $root "name" .name "image" $running.image "args" .args) | nindent 6 }}
    volumes:
      - name: backup
        persistentVolumeClaim:
          claimName: detection-backup
      {{- if $v.slots.enabled }}
      - {{- include "detection.databaseVolume" (dict "root" $root "secret" $v.secrets.database) | nindent 8 }}
      {{- else }}
      - name: data
        persistentVolumeClaim:
          claimName: detection-data
      {{- end }}
      {{- if and $b.s3.url $b.s3.caSecret (eq .component "backup") }}
      - name: s3
        secret:
          secretName: {{ $b.s3.caSecret }}
          defaultMode: 288 # 0440: the group is fsGroup
      {{- end }}
{{- end }}

{{- define "detection.backupArgs" -}}
{{- toYaml (list "backup" "--output" "/var/backups/detection" "--keep" (printf "%dd" (int .Values.backup.keepDays))) }}
{{- end }}

{{/* dict "root" . "name" backup|verify "component" C "schedule" CRON "args" LIST */}}
{{- define "detection.backupCronJob" -}}
{{- $b := .root.Values.backup }}
apiVersion: batch/v1
kind: CronJob
metadata:
  {{- include "detection.metadata" (dict "root" .root "name" (printf "detection-%s" .component) "wave" "4" "labels" (dict "app.kubernetes.io/component" .component)) | nindent 2 }}
spec:
  schedule: {{ .schedule | quote }}
  timeZone: Etc/UTC
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: {{ int $b.startingDeadlineSeconds }}
  successfulJobsHistoryLimit: {{ int $b.history.successful }}
  failedJobsHistoryLimit: {{ int $b.history.failed }}
  jobTemplate:
    spec:
      {{- include "detection.backupJobSpec" . | nindent 6 }}
{{- end }}
