"""What a chart folder asks to run: Helm's merge, the usual names of settings, and what makes a change."""

from typing import Any

import pytest

from orchestrator.sandbox.argocd_chart import MAX_REPLICAS, RenderError, merge, render

CHART = "apiVersion: v2\nname: api\nversion: 1.0.0\n"
IMAGE = "image: {repository: r.example.com/api, tag: v1}\n"


def rendered(values: str = IMAGE, over: str = "", templates: str = "", **files: str) -> Any:
    tree = {"helm/api/Chart.yaml": CHART, "helm/api/values.yaml": values, "helm/api/prod.yaml": over} | files
    return render(lambda path: tree[path].encode() if path in tree else None, "helm/api", ["prod.yaml"], templates)


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": None}, {}),
        ({"a": {"b": 1}}, {"a": "text"}, {"a": "text"}),
        ({"a": "text"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_merge_is_helms(base, over, expected):
    assert merge(base, over) == expected


SETTINGS = {
    "replicaCount: 2": ("replicas", 2),
    "replicas: 0": ("replicas", 0),
    "replicaCount: 50": ("replicas", MAX_REPLICAS),
    "replicaCount: true": ("replicas", 1),
    "service: {port: 8080}": ("port", 8080),
    "service: {port: 80, targetPort: 8080}": ("port", 8080),
    "containerPort: 9000": ("port", 9000),
    "service: {port: http}": ("port", 0),
    "readinessProbe: {httpGet: {path: /ready}}": ("probe", "/ready"),
    "healthCheck: {path: /ok}": ("probe", "/ok"),
    "probe: {path: ready}": ("probe", ""),
    "env: {A: 1, B: true, C: {from: x}}": ("env", (("A", "1"), ("B", "true"))),
    "env: [{name: A, value: 1}, {name: S, valueFrom: {}}]": ("env", (("A", "1"),)),
    "env: text": ("env", ()),
    "progressDeadlineSeconds: 7": ("deadline", 7.0),
}


@pytest.mark.parametrize("text", SETTINGS)
def test_settings_under_their_usual_names(text):
    name, expected = SETTINGS[text]
    assert getattr(rendered(IMAGE + text), name) == expected


def test_an_image_may_be_one_text():
    assert rendered("image: r.example.com/api:v1").image == "r.example.com/api:v1"


def test_a_values_file_may_be_rooted_at_the_repository():
    tree = {"helm/api/Chart.yaml": CHART, "env/prod.yaml": IMAGE}
    found = render(lambda path: tree[path].encode() if path in tree else None, "helm/api", ["/env/prod.yaml"])
    assert found.image == "r.example.com/api:v1"


def test_any_value_and_any_template_make_a_change_but_a_comment_does_not():
    same = rendered()
    assert rendered(IMAGE + "# a comment\n") == same
    assert rendered(IMAGE + "resources: {limits: {cpu: 1}}\n") != same
    assert rendered(templates="another tree") != same


def test_a_missing_folder_is_named():
    with pytest.raises(RenderError, match="helm/none: app path does not exist"):
        render(lambda _: None, "helm/none", [])
