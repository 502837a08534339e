{{/* Continuous protection of SQLite: litestream reads the log of the database and ships it. It shares the volume and nothing else. */}}
{{- define "detection.litestreamConfig" -}}
{{- $l := .Values.litestream -}}
dbs:
  - path: /var/lib/detection/detections.db
    replicas:
      {{- if hasPrefix "file://" $l.url }}
      - type: file
        path: {{ trimPrefix "file://" $l.url }}
      {{- else }}
      - type: s3
        url: {{ $l.url }}
        region: {{ $l.region }}
        {{- with $l.endpoint }}
        endpoint: {{ . }}
        force-path-style: true
        {{- end }}
      {{- end }}
        sync-interval: {{ int $l.syncSeconds }}s
        snapshot-interval: 24h
        retention: {{ mul 24 $l.retentionDays }}h
{{- end }}

{{- define "detection.litestreamConfigName" -}}
detection-litestream-{{ include "detection.litestreamConfig" . | sha256sum | trunc 10 }}
{{- end }}

{{- define "detection.litestreamContainer" -}}
{{- $v := .Values }}{{- $l := .Values.litestream -}}
- name: litestream
  image: {{ $l.image }}
  imagePullPolicy: {{ $v.image.pullPolicy }}
  args: [replicate, -config, /etc/litestream/litestream.yml]
  {{- if $l.secret }}
  env:
    {{- range $key := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
    - name: {{ $key }}
      valueFrom:
        secretKeyRef:
          name: {{ $l.secret }}
          key: {{ $key }}
    {{- end }}
  {{- end }}
  resources:
    {{- toYaml $l.resources | nindent 4 }}
  securityContext:
    {{- include "detection.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - name: data
      mountPath: /var/lib/detection
    - name: litestream
      mountPath: /etc/litestream
      readOnly: true
    {{- if hasPrefix "file://" $l.url }}
    - name: backup
      mountPath: /var/backups
    {{- end }}
{{- end }}

{{- define "detection.litestreamVolumes" -}}
- name: litestream
  configMap:
    name: {{ include "detection.litestreamConfigName" . }}
{{- if hasPrefix "file://" .Values.litestream.url }}
- name: backup
  persistentVolumeClaim:
    claimName: detection-backup
{{- end }}
{{- end }}
