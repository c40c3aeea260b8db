{{/*
A Deployment. In: root, component, values, args, and what differs:
http (whether it serves), scaled (whether something else sets the replicas), mirrors, grace (seconds), builder.
*/}}
{{- define "pilotage.deployment" -}}
{{- $root := .root -}}
{{- $fullname := include "pilotage.fullname" $root -}}
{{- $security := $root.Values.podSecurityContext -}}
{{- if and .builder (eq $root.Values.builder.mode "dind-rootless") -}}
{{- /* The group that the engine gives its socket to. */ -}}
{{- $security = merge (dict "supplementalGroups" (append ($security.supplementalGroups | default list) 1000)) $security -}}
{{- end -}}
{{- $sidecar := and .builder (ne $root.Values.builder.mode "remote") -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $fullname }}-{{ .component }}
  labels:
    {{- include "pilotage.labels" . | nindent 4 }}
spec:
  {{- if not .scaled }}
  replicas: {{ int .values.replicas }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "pilotage.selector" . | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  template:
    metadata:
      {{- include "pilotage.podMetadata" (dict "root" $root "component" .component "pod" .values.pod) | nindent 6 }}
    spec:
      {{- include "pilotage.podSpec" (dict "root" $root "pod" .values.pod "account" (include "pilotage.serviceAccountName" $root)) | nindent 6 }}
      terminationGracePeriodSeconds: {{ .grace }}
      {{- if and $sidecar $root.Values.builder.dind.userNamespace }}
      hostUsers: false
      {{- end }}
      securityContext:
        {{- include "pilotage.security" $security | nindent 8 }}
      {{- if $sidecar }}
      initContainers:
        {{- include "pilotage.engine" $root | nindent 8 }}
      {{- end }}
      containers:
        - {{- include "pilotage.container" (dict "root" $root "name" .component "args" .args "resources" .values.resources "files" $fullname) | nindent 10 }}
          {{- if .builder }}
            {{- include "pilotage.builderEnv" $root | nindent 12 }}
          {{- end }}
          volumeMounts:
            {{- include "pilotage.mounts" (dict "root" $root) | nindent 12 }}
            {{- with and .builder (include "pilotage.builderMounts" $root) }}
            {{- . | nindent 12 }}
            {{- end }}
          {{- if .http }}
          ports:
            - {name: http, containerPort: 8480, protocol: TCP}
          # The cluster goes on sending requests for a moment after it has told the pod to end.
          lifecycle:
            preStop:
              exec: {command: [sleep, "5"]}
          {{- include "pilotage.httpProbes" . | nindent 10 }}
          {{- else }}
          {{- include "pilotage.beatProbes" .component | nindent 10 }}
          {{- end }}
      volumes:
        {{- include "pilotage.volumes" (dict "root" $root "files" $fullname "mirrors" .mirrors) | nindent 8 }}
        {{- with and .builder (include "pilotage.builderVolumes" $root) }}
        {{- . | nindent 8 }}
        {{- end }}
{{- end -}}

{{/* A PodDisruptionBudget, where more than one pod is wanted: with one, nodes could never be drained.
In: root, component, pods. */}}
{{- define "pilotage.budget" -}}
{{- if gt (int .pods) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "pilotage.fullname" .root }}-{{ .component }}
  labels:
    {{- include "pilotage.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "pilotage.selector" . | nindent 6 }}
{{- end }}
{{- end -}}

{{/* A Service. In: root, component. */}}
{{- define "pilotage.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "pilotage.fullname" .root }}-{{ .component }}
  labels:
    {{- include "pilotage.labels" . | nindent 4 }}
  {{- with .root.Values.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .root.Values.service.type }}
  selector:
    {{- include "pilotage.selector" . | nindent 4 }}
  ports:
    - {name: http, port: {{ .root.Values.service.port }}, targetPort: http, protocol: TCP}
{{- end -}}

{{/* A HorizontalPodAutoscaler on CPU. In: root, component, scaling. */}}
{{- define "pilotage.cpuScaler" -}}
{{- if .scaling.enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "pilotage.fullname" .root }}-{{ .component }}
  labels:
    {{- include "pilotage.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "pilotage.fullname" .root }}-{{ .component }}
  minReplicas: {{ .scaling.minReplicas }}
  maxReplicas: {{ .scaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ .scaling.targetCPUUtilization }}}
{{- end }}
{{- end -}}
