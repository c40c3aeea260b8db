{{/* Names and labels. */}}

{{- define "pilotage.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "pilotage.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "pilotage.name" . -}}
{{- (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 45 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels by which pods of a component are found. In: root, component. */}}
{{- define "pilotage.selector" -}}
app.kubernetes.io/name: {{ include "pilotage.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of a pod: those that stay when only the chart is a newer one. In: root, component. */}}
{{- define "pilotage.podLabels" -}}
{{ include "pilotage.selector" . }}
app.kubernetes.io/part-of: pilotage
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of a resource. In: root, component. */}}
{{- define "pilotage.labels" -}}
{{ include "pilotage.podLabels" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "pilotage.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "pilotage.fullname" .) "default") -}}
{{- end -}}

{{/* Of a pod that runs before the other resources are there: an account that is made with them is not there yet. */}}
{{- define "pilotage.earlyAccountName" -}}
{{- .Values.serviceAccount.create | ternary "default" (include "pilotage.serviceAccountName" .) -}}
{{- end -}}

{{- define "pilotage.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "pilotage.webhookURL" -}}
{{- .Values.webhookURL | default .Values.externalURL | trimSuffix "/" -}}
{{- end -}}

{{/* Whether the webhooks have a host of their own. */}}
{{- define "pilotage.ownHost" -}}
{{- if ne (include "pilotage.webhookURL" .) (trimSuffix "/" .Values.externalURL) -}}yes{{- end -}}
{{- end -}}

{{/* A length of time as pilotage.yaml writes it ("90", "10m", "1.5h") in seconds. */}}
{{- define "pilotage.seconds" -}}
{{- $text := toString . | trim -}}
{{- if not (regexMatch "^[0-9]+([.][0-9]+)?[ ]*[smhd]?$" $text) -}}
{{- fail (printf "%q is not a length of time; write seconds or a number with a unit, as in 90s, 10m or 1h" $text) -}}
{{- end -}}
{{- $unit := regexFind "[smhd]$" $text -}}
{{- $number := regexFind "^[0-9.]+" $text | float64 -}}
{{- mulf $number (get (dict "" 1 "s" 1 "m" 60 "h" 3600 "d" 86400) $unit) | ceil | int -}}
{{- end -}}

{{/* How long a build worker may go on: the longest build that is configured, and a minute. */}}
{{- define "pilotage.buildGrace" -}}
{{- $own := .Values.worker.build.terminationGracePeriodSeconds -}}
{{- if kindIs "invalid" $own -}}
{{- $longest := 0 -}}
{{- range .Values.config.apps -}}
{{- $timeout := dig "build" "timeout" 1800 . -}}
{{- if contains "${" (toString $timeout) -}}
{{- fail (printf "\n\nworker.build.terminationGracePeriodSeconds: set it; the longest build cannot be told where a build.timeout is %s\n" $timeout) -}}
{{- end -}}
{{- $longest = max $longest (include "pilotage.seconds" $timeout | int) -}}
{{- end -}}
{{- add $longest 60 -}}
{{- else -}}
{{- int $own -}}
{{- end -}}
{{- end -}}

{{/* What the values must say together, beyond what their schema can see. */}}
{{- define "pilotage.check" -}}
{{- $v := .Values -}}
{{- $wrong := list -}}
{{- if not $v.externalURL -}}
{{- $wrong = append $wrong "externalURL: where people reach the pages, e.g. https://pilotage.example.com" -}}
{{- end -}}
{{- if not $v.image.repository -}}
{{- $wrong = append $wrong "image.repository: where the image is, e.g. harbor.example.com/platform/pilotage" -}}
{{- end -}}
{{- range list "registry" "gitops" "argocd" "apps" -}}
{{- if not (get $v.config .) -}}
{{- $wrong = append $wrong (printf "config.%s: missing; see docs/reference/configuration.md" .) -}}
{{- end -}}
{{- end -}}
{{- $server := $v.config.server | default dict -}}
{{- range $key, $instead := dict "bind" "the chart sets it" "external_url" "set externalURL" "webhook_url" "set webhookURL" "state_dir" "the chart sets it" -}}
{{- if hasKey $server $key -}}
{{- $wrong = append $wrong (printf "config.server.%s: leave it out; %s" $key $instead) -}}
{{- end -}}
{{- end -}}
{{- if $v.config.docker -}}
{{- $wrong = append $wrong "config.docker: leave it out; set builder" -}}
{{- end -}}
{{- if and (eq $v.builder.mode "remote") (not $v.builder.remote.host) -}}
{{- $wrong = append $wrong "builder.remote.host: address of the Docker engine that builds, e.g. tcp://docker.example.com:2376 (or choose another builder.mode)" -}}
{{- end -}}
{{- if and (eq $v.worker.build.autoscaling.mode "keda") (not $v.worker.build.autoscaling.keda.serverAddress) -}}
{{- $wrong = append $wrong "worker.build.autoscaling.keda.serverAddress: address of Prometheus" -}}
{{- end -}}
{{- if and (eq $v.worker.build.autoscaling.mode "hpa") (lt (int $v.worker.build.autoscaling.minReplicas) 1) -}}
{{- $wrong = append $wrong "worker.build.autoscaling.minReplicas: only keda goes down to 0" -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\n%s\n" (join "\n" $wrong)) -}}
{{- end -}}
{{- end -}}
