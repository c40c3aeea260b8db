{{/* The Docker engine of a build worker. */}}

{{/* Environment of the worker's container. */}}
{{- define "pilotage.builderEnv" -}}
- name: DOCKER_HOST
  value: {{ eq .Values.builder.mode "remote" | ternary .Values.builder.remote.host "unix:///engine/docker.sock" | quote }}
{{- if and (eq .Values.builder.mode "remote") .Values.builder.remote.tlsSecret }}
- name: DOCKER_TLS_VERIFY
  value: "1"
- name: DOCKER_CERT_PATH
  value: /run/secrets/docker
{{- end }}
{{- end -}}

{{/* Volume mounts of the worker's container. */}}
{{- define "pilotage.builderMounts" -}}
{{- if ne .Values.builder.mode "remote" -}}
- name: engine
  mountPath: /engine
{{- else if .Values.builder.remote.tlsSecret -}}
- name: docker-tls
  mountPath: /run/secrets/docker
  readOnly: true
{{- end -}}
{{- end -}}

{{/* Volumes of the pod. */}}
{{- define "pilotage.builderVolumes" -}}
{{- if ne .Values.builder.mode "remote" -}}
- name: engine
  emptyDir: {sizeLimit: 16Mi}
- name: images
  {{- include "pilotage.room" .Values.builder.dind | nindent 2 }}
{{- else if .Values.builder.remote.tlsSecret -}}
- name: docker-tls
  secret:
    secretName: {{ .Values.builder.remote.tlsSecret }}
    defaultMode: 0440
{{- end -}}
{{- end -}}

{{/*
The engine as a native sidecar: it starts before the worker and ends after it, so that a build that is at work when the
pod is told to end can be finished. It listens on a socket in a folder that only the worker shares: a TCP port would be
open to the RUN steps of every build.
*/}}
{{- define "pilotage.engine" -}}
{{- $rootless := eq .Values.builder.mode "dind-rootless" -}}
{{- $dind := .Values.builder.dind -}}
{{- $root := list (printf "--group=%d" (int (.Values.podSecurityContext.runAsGroup | default 10001))) -}}
{{- /* In the engine's own user namespace, 0 is the group 1000 of the pod. The data has a folder that the engine makes:
it sets the mode of the root of its data, and may not do that to the volume, which belongs to somebody else. */ -}}
{{- $unprivileged := list "--group=0" "--data-root=/images/docker" -}}
- name: engine
  image: {{ printf "%s:%s" $dind.image.repository ($dind.image.tag | default ($rootless | ternary "28.5.2-dind-rootless" "28.5.2-dind")) | quote }}
  imagePullPolicy: IfNotPresent
  restartPolicy: Always
  args: {{ concat (list "dockerd" "--host=unix:///engine/docker.sock") ($rootless | ternary $unprivileged $root) $dind.args | toJson }}
  env:
    - name: DOCKER_TLS_CERTDIR
      value: ""
  securityContext:
    privileged: true
    {{- if $rootless }}
    runAsUser: 1000
    runAsGroup: 1000
    {{- else }}
    runAsNonRoot: false
    runAsUser: 0
    runAsGroup: 0
    {{- end }}
    seccompProfile: {type: Unconfined}
  startupProbe:
    exec: {command: [docker, --host=unix:///engine/docker.sock, version]}
    periodSeconds: 2
    timeoutSeconds: 10
    failureThreshold: 60
  livenessProbe:
    exec: {command: [docker, --host=unix:///engine/docker.sock, version]}
    periodSeconds: 60
    timeoutSeconds: 30
    failureThreshold: 5
  resources:
    {{- toYaml $dind.resources | nindent 4 }}
  volumeMounts:
    - name: engine
      mountPath: /engine
    - name: images
      mountPath: {{ $rootless | ternary "/images" "/var/lib/docker" }}
    {{- with $dind.volumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
