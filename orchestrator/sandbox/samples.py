"""The sample app and the sample GitOps repository of the demo: small, and like what people really have."""

from collections.abc import Mapping

APP = "plate-web"
IMAGE = f"plate/{APP}"
CHART = f"helm/applications/{APP}"


def source_files(base_image: str, greeting: str) -> dict[str, str]:
    """Return the files of the app's repository; `base_image` is a BusyBox in the same private registry."""
    return {
        "Dockerfile": _dockerfile(base_image, "httpd -f -p 8080 -h /www"),
        "www/index.html": f"<!doctype html><title>plate-web</title><h1>{greeting}</h1>\n",
        ".dockerignore": "*.md\n.git\n",
        "README.md": "# plate-web\n\nThe demo's app: one page, served by BusyBox.\n",
    }


def broken_files(base_image: str) -> dict[str, str]:
    """Return a change after which the container cannot start."""
    return {"Dockerfile": _dockerfile(base_image, "sh -c 'echo cannot open /etc/plate/config.yaml; exit 1'")}


def _dockerfile(base_image: str, command: str) -> str:
    return f"FROM {base_image}\nCOPY www /www\nEXPOSE 8080\nUSER 1000:1000\nCMD {command}\n"


def gitops_files(registry_host: str, environments: Mapping[str, int]) -> dict[str, str]:
    """Return the files of the GitOps repository: the app's chart with a values file for each environment.

    :param environments: name -> replicas.
    """
    files = {
        f"{CHART}/Chart.yaml": _CHART,
        f"{CHART}/values.yaml": _values(registry_host),
        f"{CHART}/templates/deployment.yaml": _TEMPLATE,
    }
    for name, replicas in environments.items():
        files[f"{CHART}/values-{name}.yaml"] = _environment_values(name, replicas)
    return files


_CHART = f"""\
apiVersion: v2
name: {APP}
version: 0.1.0
"""

_TEMPLATE = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicaCount }}
  selector:
    matchLabels: {app.kubernetes.io/name: plate-web}
  template:
    metadata:
      labels: {app.kubernetes.io/name: plate-web}
    spec:
      containers:
        - name: web
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
          ports: [{containerPort: {{ .Values.service.port }}}]
          readinessProbe: {httpGet: {path: /, port: {{ .Values.service.port }}}}
"""


def _values(registry_host: str) -> str:
    return f"""\
replicaCount: 1

image:
  repository: {registry_host}/{IMAGE}
  tag: ""  # set for each environment

service:
  port: 8080
containerPort: 8080
readinessProbe:
  httpGet:
    path: /
    port: 8080
"""


def _environment_values(name: str, replicas: int) -> str:
    return f"""\
# {name}: 이미지 태그는 Pilotage가 바꿉니다 (the image tag is changed by Pilotage)
replicaCount: {replicas}

image:
  tag: "none"   # do not edit by hand
"""
