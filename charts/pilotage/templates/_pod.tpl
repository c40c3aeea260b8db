{{/* The parts that all pods have. */}}

{{/* Metadata of a pod's template. In: root, component, pod. */}}
{{- define "pilotage.podMetadata" -}}
annotations:
  checksum/config: {{ include "pilotage.checksum" .root }}
  {{- with .pod.annotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
labels:
  {{- include "pilotage.podLabels" . | nindent 2 }}
  {{- with .pod.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* What stands beside the containers. In: root, pod, account. */}}
{{- define "pilotage.podSpec" -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" }}
{{- with get $.pod $key }}
{{ $key }}: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Security of the pod: without what is null. In: the mapping. */}}
{{- define "pilotage.security" -}}
{{- $kept := dict -}}
{{- range $key, $value := . -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $kept $key $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $kept -}}
{{- end -}}

{{/* Beginning of a container of ours. In: root, name, args, resources, files (name of ConfigMap
and Secret). */}}
{{- define "pilotage.container" -}}
name: {{ .name }}
image: {{ include "pilotage.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: {{ toJson .args }}
securityContext:
  {{- include "pilotage.security" .root.Values.securityContext | nindent 2 }}
resources:
  {{- toYaml .resources | nindent 2 }}
env:
  - name: PILOTAGE_CONFIG
    value: /etc/pilotage/pilotage.yaml
  - name: PILOTAGE_STATE_DIR
    value: /var/lib/pilotage
  {{- with include "pilotage.credentials" (dict "root" .root "own" .files) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with .root.Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Volume mounts of a container of ours. In: root. */}}
{{- define "pilotage.mounts" -}}
- name: config
  mountPath: /etc/pilotage
  readOnly: true
- name: state
  mountPath: /var/lib/pilotage
- name: tmp
  mountPath: /tmp
{{- with .root.Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Volumes of a pod of ours. In: root, files (name of the ConfigMap), mirrors (whether repositories are kept). */}}
{{- define "pilotage.volumes" -}}
- name: config
  configMap:
    name: {{ .files }}
- name: state
  {{- if .mirrors }}
  {{- include "pilotage.room" .root.Values.state | nindent 2 }}
  {{- else }}
  emptyDir: {sizeLimit: 128Mi}
  {{- end }}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- with .root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A volume that lives as long as the pod. In: size, storageClass. */}}
{{- define "pilotage.room" -}}
{{- if .storageClass -}}
ephemeral:
  volumeClaimTemplate:
    spec:
      accessModes: [ReadWriteOnce]
      storageClassName: {{ .storageClass }}
      resources:
        requests:
          storage: {{ .size }}
{{- else -}}
emptyDir: {sizeLimit: {{ .size }}}
{{- end -}}
{{- end -}}

{{/* Probes of a process that answers HTTP. Only a process that does not answer is started anew. One that cannot reach
the database gets no requests: another pod may. Schema, broker and workers are the same for all pods and keep nobody
from reading the pages, so that they are left out: an upgrade of the schema or a broker that is away takes no page away. */}}
{{- define "pilotage.httpProbes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
readinessProbe:
  httpGet: {path: "/readyz?only=database", port: http}
  periodSeconds: 5
  timeoutSeconds: 5
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 15
  timeoutSeconds: 10
  failureThreshold: 4
{{- end -}}

{{/* Probes of a process without HTTP: the age of the file that its main loop touches. In: its name. */}}
{{- define "pilotage.beatProbes" -}}
{{- $command := list "pilotage" "alive" . | toJson -}}
startupProbe:
  exec: {command: {{ $command }}}
  periodSeconds: 5
  timeoutSeconds: 10
  failureThreshold: 36
readinessProbe:
  exec: {command: {{ $command }}}
  periodSeconds: 30
  timeoutSeconds: 10
livenessProbe:
  exec: {command: {{ $command }}}
  periodSeconds: 60
  timeoutSeconds: 20
  failureThreshold: 3
{{- end -}}
