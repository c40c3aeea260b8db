"""Fluentd's files: whole, connected, and able to read what container runtimes and Pilotage write."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.support import fluentd
from tests.support.platform import ROOT, TOOLS, read

VALUES = read(TOOLS / "fluentd/values.yaml")
FILES = VALUES["fileConfigs"]
CONFIGURATION = fluentd.parse("\n".join(text for name, text in sorted(FILES.items()) if name.endswith(".conf")))
TEMPLATE = json.loads(FILES["index-template.json"])
FIELDS = TEMPLATE["template"]["mappings"]["properties"]
FIELD_TABLE = ROOT / "docs/reference/log-fields.json"
PLUGINS = {
    "source": {"tail", "prometheus", "prometheus_output_monitor"},
    "filter": {"record_transformer", "concat", "kubernetes_metadata", "parser", "elasticsearch_genid", "prometheus"},
    "match": {"relabel", "elasticsearch", "file"},
    "parse": {"multi_format", "json"},
    "buffer": {"file"},
    "secondary": {"secondary_file"},
    "format": {"json"},
}
"""What the image fluentd-kubernetes-daemonset brings for Elasticsearch, as far as it is used."""
LINE = json.dumps(
    {
        "ts": "2026-11-26T03:00:00.120000Z",
        "level": "info",
        "service": "worker-build",
        "event": "stage over",
        "run": 7,
        "stage": "build",
        "app": "plate-web",
        "env": "stg",
        "detail": '안녕 "quoted" \\ done',
    },
    ensure_ascii=False,
)
PYTHON_TYPES = {"date": str, "keyword": str, "text": str, "long": int, "double": float}

CRI = [
    ("2026-11-26T03:00:00.123456789Z stdout F hello", "stdout", "F", "hello"),
    ("2026-11-26T12:00:00.1+09:00 stderr F two words", "stderr", "F", "two words"),
    ("2026-11-26T03:00:00Z stdout F ", "stdout", "F", ""),
    ("2026-11-26T03:00:00.1Z stdout P half ", "stdout", "P", "half "),
    ("2026-11-26T03:00:00.1Z stdout P:extra half", "stdout", "P", "half"),
    (f"2026-11-26T03:00:00.1Z stdout F {LINE}", "stdout", "F", LINE),
    ("2026-11-26T03:00:00.1Z stdout F stdout F nested", "stdout", "F", "stdout F nested"),
]


def cri() -> "fluentd.Directive":
    patterns = [one for one in CONFIGURATION.find("parse", type="multi_format").inside if one.name == "pattern"]
    return next(one for one in patterns if one.parameters["format"] == "regexp")


def test_the_files_that_the_issue_names_are_there() -> None:
    assert sorted(FILES) == [
        "01_sources.conf",
        "02_filters.conf",
        "03_dispatch.conf",
        "04_outputs.conf",
        "index-template.json",
    ]
    assert VALUES["kind"] == "DaemonSet"


def test_every_plugin_is_in_the_image_and_named_once() -> None:
    directives = CONFIGURATION.all()
    wrong = [
        (one.name, one.type)
        for one in directives
        if one.name in PLUGINS and (one.type or ("file" if one.name == "buffer" else "")) not in PLUGINS[one.name]
    ]
    assert wrong == []
    ids = [one.parameters["@id"] for one in directives if one.name in ("source", "filter", "match")]
    assert len(ids) == len(set(ids))


def test_every_line_finds_its_way_to_an_end() -> None:
    labels = {one.argument: one for one in CONFIGURATION.inside if one.name == "label"}
    leads_to = {
        one.parameters.get("@label") or one.parameters.get("timeout_label")
        for one in CONFIGURATION.all()
        if "@label" in one.parameters or "timeout_label" in one.parameters
    }
    assert leads_to <= set(labels)
    assert set(labels) - leads_to == {"@ERROR"}
    for label in labels.values():
        assert [one.argument for one in label.inside if one.name == "match"] == ["**"]
        assert label.inside[-1].name == "match", "a filter behind the match is never reached"


@pytest.mark.parametrize(("line", "stream", "tag", "log"), CRI)
def test_a_line_of_the_cri_format(line: str, stream: str, tag: str, log: str) -> None:
    found = fluentd.expression(cri().parameters["expression"]).match(line)
    assert found
    assert (found["stream"], found["logtag"], found["log"]) == (stream, tag, log)
    moment = datetime.fromisoformat(found["time"])
    assert abs(moment - datetime(2026, 11, 26, 3, 0, tzinfo=UTC)) < timedelta(seconds=1)


@pytest.mark.parametrize(
    "line", ['{"log":"x\\n","stream":"stdout","time":"2026-11-26T03:00:00Z"}', "no form at all", ""]
)
def test_other_lines_are_not_taken_for_the_cri_format(line: str) -> None:
    assert fluentd.expression(cri().parameters["expression"]).match(line) is None


def test_the_docker_format_is_tried_first_and_both_name_their_time() -> None:
    patterns = CONFIGURATION.find("parse", type="multi_format").inside
    assert [one.parameters["format"] for one in patterns] == ["json", "regexp"]
    assert {(one.parameters["time_key"], one.parameters["time_format"]) for one in patterns} == {("time", "%iso8601")}


def test_parts_of_a_line_are_joined_by_the_mark_that_the_expression_finds() -> None:
    concat = CONFIGURATION.find("filter", type="concat").parameters
    assert (concat["key"], concat["partial_key"], concat["partial_value"]) == ("log", "logtag", "P")
    assert concat["separator"] == '""'
    assert concat["stream_identity_key"] == "stream", "standard output and error of one container are mixed otherwise"
    assert {"log", "logtag", "stream"} <= set(fluentd.expression(cri().parameters["expression"]).groupindex)
    assert int(concat["buffer_limit_size"]) > 16 * 1024


def test_nothing_reads_its_own_lines() -> None:
    tail = CONFIGURATION.find("source", type="tail").parameters
    assert tail["path"] == "/var/log/containers/*.log"
    assert json.loads(tail["exclude_path"]) == ["/var/log/containers/fluentd-*.log"]


def test_the_fields_of_a_line_of_pilotage_have_the_types_of_the_template() -> None:
    parser = CONFIGURATION.find("filter", type="parser")
    assert parser.argument == "kubernetes.var.log.containers.**_pilotage_**"
    assert (parser.parameters["key_name"], parser.parameters["reserve_data"]) == ("message", "true")
    for name, value in json.loads(LINE).items():
        assert isinstance(value, PYTHON_TYPES[FIELDS[name]["type"]]), name


@pytest.mark.skipif(not FIELD_TABLE.exists(), reason="the table of log fields is not there")
def test_the_template_has_the_fields_of_the_table() -> None:
    table = json.loads(FIELD_TABLE.read_text(encoding="utf-8"))["mappings"]["properties"]
    assert {name: FIELDS.get(name) for name in table} == table


def test_labels_of_pods_cannot_refuse_each_other() -> None:
    kubernetes = FIELDS["kubernetes"]
    assert kubernetes["properties"]["labels"] == {"type": "flattened"}
    assert kubernetes["dynamic"] is TEMPLATE["template"]["mappings"]["dynamic"] is False


def test_both_streams_are_made_by_the_template() -> None:
    output = CONFIGURATION.find("match", type="elasticsearch").parameters
    assert TEMPLATE["index_patterns"] == ["container-logs-*"]
    assert TEMPLATE["data_stream"] == {}
    assert TEMPLATE["template"]["lifecycle"] == {"data_retention": "14d"}
    for stream in ("container-logs-cluster", "container-logs-pilotage"):
        assert stream in FILES["02_filters.conf"]
    assert (output["template_name"], output["use_legacy_template"]) == ("container-logs", "false")
    assert (output["index_name"], output["write_operation"]) == ("${log_stream}", "create")
    assert CONFIGURATION.find("buffer", path="/var/log/fluentd/buffer").argument == "log_stream"
    assert output["template_file"] == "/etc/fluent/config.d/index-template.json"


def test_what_cannot_be_sent_is_kept_and_every_wait_is_bounded() -> None:
    output = CONFIGURATION.find("match", type="elasticsearch")
    buffer = next(one for one in output.inside if one.name == "buffer")
    bounds = {"total_limit_size", "chunk_limit_size", "retry_timeout", "retry_max_interval"}
    assert bounds <= buffer.parameters.keys()
    assert buffer.parameters["overflow_action"] == "block"
    assert "retry_forever" not in buffer.parameters
    assert next(one for one in output.inside if one.name == "secondary").type == "secondary_file"
    kept = [
        value for one in CONFIGURATION.all() for key, value in one.parameters.items() if key in ("path", "directory")
    ]
    assert all(path.startswith("/var/log/") for path in kept), "the rest of the file system goes with the pod"


def test_a_line_that_is_sent_twice_is_stored_once() -> None:
    genid = CONFIGURATION.find("filter", type="elasticsearch_genid").parameters["hash_id_key"]
    output = CONFIGURATION.find("match", type="elasticsearch").parameters
    assert output["id_key"] == genid


def test_a_refused_line_still_has_what_the_plugin_looks_for() -> None:
    """A record whose id or index was taken out is lost when Elasticsearch refuses it: tried with the real plugin."""
    output = CONFIGURATION.find("match", type="elasticsearch").parameters
    assert not {"remove_keys", "target_index_key"} & output.keys()


def test_the_password_comes_from_the_environment() -> None:
    output = CONFIGURATION.find("match", type="elasticsearch").parameters
    named = {one["name"]: one.get("valueFrom", {}).get("secretKeyRef", {}).get("name") for one in VALUES["env"]}
    for key, variable in (("user", "ELASTICSEARCH_USER"), ("password", "ELASTICSEARCH_PASSWORD")):
        assert output[key] == f"\"#{{ENV['{variable}']}}\""
        assert named[variable] == "elasticsearch-fluentd"


def test_elasticsearch_lets_fluentd_do_what_it_does() -> None:
    elasticsearch = read(TOOLS / "elasticsearch/values.yaml")
    roles = elasticsearch["extraObjects"][0]
    assert elasticsearch["auth"]["fileRealm"] == [{"secretName": "elasticsearch-fluentd"}]
    assert "cluster: [monitor, manage_index_templates]" in roles
    assert f"names: {json.dumps(TEMPLATE['index_patterns'])}" in roles
    output = CONFIGURATION.find("match", type="elasticsearch").parameters
    assert output["host"] == f"{elasticsearch['fullnameOverride']}-es-http.logging.svc"
    assert output["default_elasticsearch_version"] == elasticsearch["version"].split(".")[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<source>\n</match>", "closes <source>"),
        ("<source>\n@type tail", "<source> is not closed"),
        ("<source>\n@type tail\n@type tail\n</source>", "line 3: @type is there twice"),
    ],
)
def test_the_reader_notices_a_broken_file(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fluentd.parse(text)
