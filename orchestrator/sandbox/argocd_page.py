"""The page of an application: where its link in Pilotage leads, for somebody who plays with the stand-ins.

The real server sends its web interface to anybody, and that asks for a login. Here is nobody to log in.
"""

from flask import render_template_string

from orchestrator.sandbox.argocd_objects import Json
from orchestrator.sandbox.argocd_rollout import SandboxDeployment

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<title>{{ name }} - Argo CD (stand-in)</title><style>
body{font:16px/1.5 system-ui,sans-serif;margin:2rem}table{font-size:.85rem}
th,td{text-align:left;vertical-align:top;padding:.2rem 1.5rem .2rem 0}.name{white-space:nowrap}</style>
<h1>{{ name }}</h1>
<p>A stand-in of Argo CD. It reads the GitOps repo and starts the image as a container.</p>
<table>
<tr><th scope="row">Health</th><td>{{ status.health.status }}
{%- if status.health.message %}: {{ status.health.message }}{% endif %}</td></tr>
<tr><th scope="row">Sync</th><td>{{ status.sync.status }}</td></tr>
<tr><th scope="row">Revision</th><td><code>{{ status.sync.revision }}</code></td></tr>
<tr><th scope="row">Values</th><td>{{ values|join(", ") }}</td></tr>
{%- for one in status.conditions or () %}
<tr><th scope="row">{{ one.type }}</th><td>{{ one.message }}</td></tr>
{%- endfor %}
</table>
<h2>Pods</h2>
<table>
<tr><th>Pod</th><th>Ready</th><th>State</th><th>Image</th></tr>
{%- for pod in pods %}
<tr><td class="name">{% if pod.state.ready and pod.state.port -%}
<a href="http://127.0.0.1:{{ pod.state.port }}/">{{ pod.name }}</a>
{%- else %}{{ pod.name }}{% endif %}</td><td>{{ "yes" if pod.state.ready else "no" }}</td>
<td>{{ pod.state.reason }}{% if pod.state.message %}: {{ pod.state.message }}{% endif %}</td>
<td class="name"><code>{{ pod.workload.image }}</code></td></tr>
{%- else %}
<tr><td colspan="4">None yet.</td></tr>
{%- endfor %}
</table>
"""


def application_page(app: Json, deployment: SandboxDeployment) -> str:
    """Show an application with its pods as HTML; a pod that serves a port is a link to it."""
    source = app["spec"]["source"]
    values = [f"{source['path']}/{file}" for file in source.get("helm", {}).get("valueFiles", [])]
    name, status = app["metadata"]["name"], app["status"]
    return render_template_string(_PAGE, name=name, status=status, values=values, pods=deployment.pods())
