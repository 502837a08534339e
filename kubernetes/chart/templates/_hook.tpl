{{/*
Jobs around a release, PostgreSQL only. Order: schema, new pods, fence, selector.
  Argo CD  Sync hooks in waves -1 and 1, between the objects of the other waves.
  Helm     both before anything else of the release: the schema must be there when the pods start (with --wait they would never be
           ready where their role may not make it), and if the fence cannot be moved, no traffic has moved. At the first install with
           cloudnativepg.enabled there is no database before the release, so there both follow it, and the pods make the schema.
A Job depends on no other object of the chart: pull secret, environment and account are its own.
*/}}
{{- define "detection.helmPhases" -}}
{{- ternary "post-install" "pre-install" .Values.cloudnativepg.enabled }},pre-upgrade
{{- end }}

{{/* dict "root" . "component" migrate|fence "deployment" DEPLOYMENT "wave" WAVE "args" LIST */}}
{{- define "detection.hookJob" -}}
{{- $root := .root }}{{- $h := .root.Values.hooks }}
apiVersion: batch/v1
kind: Job
metadata:
  name: detection-api-{{ .component }}
  namespace: {{ $root.Values.namespace.name }}
  labels:
    {{- include "detection.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
  annotations:
    {{- if eq $h.runner "argocd" }}
    argocd.argoproj.io/hook: Sync
    argocd.argoproj.io/hook-delete-policy: BeforeHookCreation
    argocd.argoproj.io/sync-wave: {{ .wave | quote }}
    {{- else }}
    helm.sh/hook: {{ include "detection.helmPhases" $root }}
    helm.sh/hook-weight: {{ .wave | quote }}
    helm.sh/hook-delete-policy: before-hook-creation
    {{- end }}
spec:
  backoffLimit: {{ int $h.backoffLimit }}
  activeDeadlineSeconds: {{ int $h.deadlineSeconds }}
  ttlSecondsAfterFinished: {{ int $h.keepSeconds }}
  template:
    metadata:
      labels:
        {{- include "detection.selectorLabels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
        app.kubernetes.io/part-of: detection-cop
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- with $root.Values.secrets.registry }}
      imagePullSecrets:
        - name: {{ . }}
      {{- end }}
      {{- with $root.Values.scheduling.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $root.Values.scheduling.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "detection.podSecurity" $root | nindent 8 }}
      containers:
        - name: {{ .component }}
          image: {{ .deployment.image }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args:
            {{- toYaml .args | nindent 12 }}
          env:
            - name: DETECTION_DATABASE_URL
              value: {{ include "detection.databaseUrl" $root | quote }}
            - name: DETECTION_DATABASE_CREDENTIALS
              value: /etc/detection/database
          resources:
            {{- toYaml $h.resources | nindent 12 }}
          securityContext:
            {{- include "detection.containerSecurity" $root | nindent 12 }}
          volumeMounts:
            - name: database
              mountPath: /etc/detection/database
              readOnly: true
      volumes:
        - {{- include "detection.databaseVolume" (dict "root" $root "secret" ($root.Values.secrets.databaseOwner | default $root.Values.secrets.database)) | nindent 10 }}
{{- end }}
