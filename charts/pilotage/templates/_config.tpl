{{/* pilotage.yaml and the credentials that it names. */}}

{{/* The content of pilotage.yaml. */}}
{{- define "pilotage.config" -}}
{{- $ours := dict
  "bind" "0.0.0.0:8480"
  "external_url" (trimSuffix "/" .Values.externalURL)
  "database" "${DATABASE_URL}"
  "broker" "${BROKER_URL}"
  "session_key" "${SESSION_KEY}" -}}
{{- with .Values.webhookURL -}}
{{- $_ := set $ours "webhook_url" (trimSuffix "/" .) -}}
{{- end -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "server" (merge ($config.server | default dict) $ours) -}}
{{- toYaml $config -}}
{{- end -}}

{{/* The environment variables that pilotage.yaml names as ${NAME}, each from its Secret. In: root, own (name of the
Secret with the plain values). */}}
{{- define "pilotage.credentials" -}}
{{- include "pilotage.check" .root -}}
{{- $given := list -}}
{{- range .root.Values.extraEnv -}}
{{- $given = append $given .name -}}
{{- end -}}
{{- $text := regexReplaceAll "[$][$]([{][^}]*[}])?" (include "pilotage.config" .root) "" -}}
{{- $wrong := list -}}
{{- range $reference := regexFindAll "[$][{][A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?[}]" $text -1 | uniq | sortAlpha -}}
{{- $name := regexFind "[A-Za-z_][A-Za-z0-9_]*" $reference -}}
{{- $needed := contains (printf "${%s}" $name) $text -}}
{{- $source := include "pilotage.source" (dict "root" $.root "own" $.own "name" $name "optional" (not $needed)) -}}
{{- if has $name $given -}}
{{- else if $source }}
{{- $given = append $given $name }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {{ $source }}
{{- else if not (contains ":-" $reference) -}}
{{- $wrong = append $wrong (printf "credentials: config names ${%s}; say where it is in credentials.existingSecret or credentials.from.%s" $name $name) -}}
{{- end -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\n%s\n" (join "\n" $wrong)) -}}
{{- end -}}
{{- end -}}

{{/* Where a credential is: name and key of a Secret, or nothing. In: root, own, name, optional (whether it has a
default: the Secret with all of them may be without it). */}}
{{- define "pilotage.source" -}}
{{- $from := .root.Values.credentials -}}
{{- if hasKey $from.values .name -}}
{{- dict "name" .own "key" .name | toJson -}}
{{- else if hasKey $from.from .name -}}
{{- $one := get $from.from .name -}}
{{- dict "name" $one.existingSecret "key" ($one.key | default .name) | toJson -}}
{{- else if $from.existingSecret -}}
{{- merge (dict "name" $from.existingSecret "key" .name) (empty .optional | ternary dict (dict "optional" true)) | toJson -}}
{{- end -}}
{{- end -}}

{{/* The ConfigMap with pilotage.yaml, and the Secret with the plain values. In: root, name, component, annotations. */}}
{{- define "pilotage.files" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .name }}
  labels:
    {{- include "pilotage.labels" . | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
data:
  pilotage.yaml: |
    {{- include "pilotage.config" .root | nindent 4 }}
{{- if .root.Values.credentials.values }}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ .name }}
  labels:
    {{- include "pilotage.labels" . | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
type: Opaque
stringData:
  {{- toYaml .root.Values.credentials.values | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Changes when the pods must start anew: their configuration, or the credentials that are in the values. */}}
{{- define "pilotage.checksum" -}}
{{- printf "%s\n%s" (include "pilotage.config" .) (toJson .Values.credentials.values) | sha256sum -}}
{{- end -}}
