{{/* Peers of a rule: a list of {cidr}, or {namespace, podLabels}. Namespace and pods stand in one item: both must hold. */}}
{{- define "detection.peers" -}}
{{- range . }}
{{- if .cidr }}
- ipBlock:
    cidr: {{ .cidr }}
{{- else if .namespace }}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ .namespace }}
  {{- with .podLabels }}
  podSelector:
    matchLabels:
      {{- toYaml . | nindent 6 }}
  {{- end }}
{{- else }}
- podSelector:
    matchLabels:
      {{- toYaml .podLabels | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "detection.databasePeers" -}}
{{- if .Values.cloudnativepg.enabled }}
{{- include "detection.peers" (list (dict "podLabels" (dict "cnpg.io/cluster" "detection-db"))) }}
{{- else }}
{{- include "detection.peers" .Values.database.peers }}
{{- end }}
{{- end }}

{{/* The pods of this release: dict "root" . "components" LIST */}}
{{- define "detection.podSelector" -}}
podSelector:
  matchLabels:
    {{- include "detection.selectorLabels" .root | nindent 4 }}
  matchExpressions:
    - key: app.kubernetes.io/component
      operator: In
      values:
        {{- toYaml .components | nindent 8 }}
{{- end }}

{{- define "detection.dnsRule" -}}
- to:
    {{- include "detection.peers" .Values.networkPolicy.dns | trim | nindent 4 }}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{- define "detection.databaseRule" -}}
- to:
    {{- include "detection.databasePeers" . | trim | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ int .Values.database.port }}}
{{- end }}
