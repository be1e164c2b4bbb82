"""Official readers judge what the gateway writes for Prometheus and OpenTelemetry: the fixtures that `tests/telemetry.rs` compares
with its encodings, and what a running gateway sends (`otlp-capture.mjs`)."""

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client import parser
from prometheus_client.openmetrics import parser as strict_parser

from conftest import PROJECT, node

FIXTURES = Path(__file__).parents[1] / "fixtures/telemetry"
IDS = {"traceId", "spanId", "parentSpanId"}


def _with_base64_ids(value):
    """OTLP's JSON has ids in hex, where protobuf's mapping has base64."""
    if isinstance(value, list):
        return [_with_base64_ids(item) for item in value]
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(item)).decode() if key in IDS else _with_base64_ids(item)
            for key, item in value.items()
        }
    return value


def _has_unknown_fields(message):
    """Whether a message, or one within it, has a field that its official class does not know."""
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    return known.SerializeToString(deterministic=True) != message.SerializeToString(deterministic=True)


KINDS = [("traces", ExportTraceServiceRequest), ("logs", ExportLogsServiceRequest), ("metrics", ExportMetricsServiceRequest)]


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_both_encodings_are_the_same_message(name, kind):
    binary = kind.FromString((FIXTURES / f"{name}.pb").read_bytes())
    assert not _has_unknown_fields(binary)
    text = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
    # Unknown members, enums by name and wrong types are errors.
    assert json_format.ParseDict(_with_base64_ids(text), kind()) == binary


def test_spans_are_what_they_should_be():
    request = ExportTraceServiceRequest.FromString((FIXTURES / "traces.pb").read_bytes())
    (resource,) = request.resource_spans
    (scope,) = resource.scope_spans
    assert isinstance(scope.scope, InstrumentationScope) and scope.scope.name == "llm-bridge"
    assert scope.schema_url.startswith("https://opentelemetry.io/schemas/gen-ai")
    server, failed, served, root, hollow = scope.spans
    assert [span.kind for span in scope.spans] == [Span.SPAN_KIND_SERVER, *[Span.SPAN_KIND_CLIENT] * 2, Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT]
    assert server.parent_span_id.hex() == "00f067aa0ba902b7" and server.trace_id.hex() == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert failed.parent_span_id == served.parent_span_id == server.span_id
    assert not root.parent_span_id and hollow.parent_span_id == root.span_id
    assert failed.status.code == root.status.code == Status.STATUS_CODE_ERROR and server.status.code == Status.STATUS_CODE_UNSET
    assert server.start_time_unix_nano == 1_795_000_000_000_000_000 and server.end_time_unix_nano == 1_795_000_003_210_000_000
    values = {attribute.key: attribute.value for attribute in served.attributes}
    assert values["gen_ai.usage.input_tokens"].int_value == 900
    assert values["gen_ai.response.time_to_first_chunk"].double_value == 0.55
    assert values["gen_ai.request.stream"].bool_value is True


# Each response takes a batch but for so many items.
PARTIAL = {
    "traces": ExportTraceServiceResponse(partial_success=ExportTracePartialSuccess(rejected_spans=1, error_message="late spans")),
    "logs": ExportLogsServiceResponse(partial_success=ExportLogsPartialSuccess(rejected_log_records=2, error_message="late records")),
    "metrics": ExportMetricsServiceResponse(partial_success=ExportMetricsPartialSuccess(rejected_data_points=300, error_message="late points")),
}


@pytest.fixture(scope="module")
def captured():
    """What a running gateway sent in each encoding: the content type, the bodies for each signal, and the logged drops."""
    encodings = {"protobuf": lambda message: message.SerializeToString(), "json": lambda message: json_format.MessageToJson(message).encode()}
    responses = {
        encoding: {signal: base64.b64encode(write(message)).decode() for signal, message in PARTIAL.items()}
        for encoding, write in encodings.items()
    }
    command = [node(), str(Path(__file__).with_name("otlp-capture.mjs"))]
    done = subprocess.run(command, input=json.dumps(responses), stdout=subprocess.PIPE, text=True, timeout=500, check=True)
    sent = json.loads(done.stdout)
    for part in sent.values():
        for signal in PARTIAL:
            part[signal] = [base64.b64decode(body) for body in part[signal]]
    return sent


def _read(kind, encoding, body):
    if encoding == "json":
        # Unknown members, enums by name and wrong types are errors.
        return json_format.ParseDict(_with_base64_ids(json.loads(body)), kind())
    message = kind.FromString(body)
    assert not _has_unknown_fields(message)
    return message


# Whichever runs first waits for what two gateways send in their own time.
PATIENT = pytest.mark.timeout(550)


@PATIENT
@pytest.mark.parametrize(("encoding", "content_type"), [("protobuf", "application/x-protobuf"), ("json", "application/json")])
def test_a_running_gateway_sends_spans_and_records_that_belong_together(captured, encoding, content_type):
    assert captured[encoding]["contentType"] == content_type
    traces = [_read(ExportTraceServiceRequest, encoding, body) for body in captured[encoding]["traces"]]
    logs = [_read(ExportLogsServiceRequest, encoding, body) for body in captured[encoding]["logs"]]
    for request in (*traces, *logs):
        (resource,) = getattr(request, "resource_spans", None) or request.resource_logs
        names = {attribute.key for attribute in resource.resource.attributes}
        assert names == {"service.name", "service.version", "service.instance.id"}
    spans = [span for request in traces for span in request.resource_spans[0].scope_spans[0].spans]
    records = [record for request in logs for record in request.resource_logs[0].scope_logs[0].log_records]
    values = [{attribute.key: attribute.value for attribute in span.attributes} for span in spans]
    by_request = {value["llm_bridge.request_id"].string_value: span for span, value in zip(spans, values) if "llm_bridge.request_id" in value}
    route = by_request["captured-route"]
    assert route.kind == Span.SPAN_KIND_SERVER and route.trace_state == "rojo=1"
    assert route.trace_id.hex() == "4bf92f3577b34da6a3ce929d0e0e4736" and route.parent_span_id.hex() == "00f067aa0ba902b7"
    assert route.flags & 0x300 == 0x300, "its parent is remote"
    attempts = [span for span in spans if span.parent_span_id == route.span_id]
    assert [span.kind for span in attempts] == [Span.SPAN_KIND_CLIENT] * 2
    assert [span.status.code for span in attempts] == [Status.STATUS_CODE_ERROR, Status.STATUS_CODE_UNSET]
    assert all(0 < span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)
    assert not by_request["captured-whole"].parent_span_id and len({span.span_id for span in spans}) == len(spans)
    refused = by_request["captured-refusal"]
    (record,) = [record for record in records if record.trace_id == refused.trace_id]
    assert record.span_id == refused.span_id and record.severity_text == "warning" and record.event_name == "request_error"
    assert json.loads(record.body.string_value)["request_id"] == "captured-refusal"


@PATIENT
@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_running_gateway_counts_what_a_back_end_rejects(captured, encoding):
    drops = {}
    for drop in captured[encoding]["drops"]:
        assert drop["reason"] == "rejected"
        drops.setdefault(drop["signal"], drop)
    assert drops["traces"]["error"] == "late spans" and drops["logs"]["error"] == "late records"
    assert drops["metrics"]["drops"] == 300
    for signal in PARTIAL:
        assert len(set(captured[encoding][signal])) == len(captured[encoding][signal]), "nothing is sent again"


@PATIENT
@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_running_gateway_sends_metrics(captured, encoding):
    for body in captured[encoding]["metrics"]:
        request = _read(ExportMetricsServiceRequest, encoding, body)
        (resource,) = request.resource_metrics
        metrics = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
        requests = metrics["llm_bridge_requests"].sum
        assert requests.is_monotonic and requests.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
        assert sum(point.as_int for point in requests.data_points) >= 1
        for metric in metrics.values():
            kind = metric.WhichOneof("data")
            for point in getattr(metric, kind).data_points:
                assert kind == "gauge" or 0 < point.start_time_unix_nano <= point.time_unix_nano


def test_metrics_are_what_they_should_be():
    request = ExportMetricsServiceRequest.FromString((FIXTURES / "metrics.pb").read_bytes())
    metrics = {metric.name: metric for metric in request.resource_metrics[0].scope_metrics[0].metrics}
    duration = metrics["llm_bridge_request_duration_seconds"]
    assert duration.unit == "s" and duration.histogram.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    for point in duration.histogram.data_points:
        assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
        assert sum(point.bucket_counts) == point.count and point.start_time_unix_nano < point.time_unix_nano
    (cost,) = metrics["llm_bridge_cost_dollars"].sum.data_points
    assert cost.as_double == 0.01275 and metrics["llm_bridge_cost_dollars"].sum.is_monotonic
    (open_requests,) = metrics["llm_bridge_open_requests"].gauge.data_points
    assert open_requests.as_int == 2


def test_the_strict_parser_reads_openmetrics():
    text = (FIXTURES / "metrics.openmetrics").read_text(encoding="utf-8")
    families = {family.name: family for family in strict_parser.text_string_to_metric_families(text)}
    samples = {
        (sample.name, sample.labels.get("type")): sample.value
        for sample in families["llm_bridge_tokens"].samples
        if sample.labels["model"] == "large"
    }
    assert samples[("llm_bridge_tokens_total", "output")] == 60
    assert families["llm_bridge_request_duration_seconds"].unit == "seconds"
    assert any(sample.labels["model"] == 'quotes " \\ and\nlines' for sample in families["llm_bridge_tokens"].samples)


def test_both_text_formats_have_the_same_samples():
    old = parser.text_string_to_metric_families((FIXTURES / "metrics.txt").read_text(encoding="utf-8"))
    new = strict_parser.text_string_to_metric_families((FIXTURES / "metrics.openmetrics").read_text(encoding="utf-8"))
    values = [
        {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in families for sample in family.samples}
        for families in (old, new)
    ]
    assert values[0] == values[1]


def _scrape(scene, accept):
    """The metrics of the gateway, and the type that it gives them."""
    headers = {"Authorization": f"Bearer {scene['scraper']}", "Accept": accept}
    with urllib.request.urlopen(urllib.request.Request(f"{scene['gateway']}/metrics", headers=headers)) as response:
        return response.headers["Content-Type"], response.read().decode()


def test_the_strict_parser_reads_what_the_gateway_serves(scene, client):
    client.chat.completions.create(model="ok", messages=[{"role": "user", "content": "Hello"}])
    deadline = time.monotonic() + 150
    while True:
        kind, text = _scrape(scene, "application/openmetrics-text; version=1.0.0")
        families = {family.name: family for family in strict_parser.text_string_to_metric_families(text)}
        if "llm_bridge_requests" in families or time.monotonic() > deadline:
            break
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert families["llm_bridge_requests"].type == "counter"
    assert families["llm_bridge_request_duration_seconds"].type == "histogram"
    kind, text = _scrape(scene, "text/plain")
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert any(family.name == "llm_bridge_requests" for family in parser.text_string_to_metric_families(text))


# `make test-python` installs it where there is apt.
OWN_PROMTOOL = PROJECT / ".tools/prometheus/promtool"
PROMTOOL = str(OWN_PROMTOOL) if OWN_PROMTOOL.exists() else shutil.which("promtool")


@pytest.mark.skipif(not PROMTOOL, reason="promtool, of Debian's package prometheus, is not installed: no metrics were judged by Prometheus' own code")
def test_promtool_accepts_metrics_and_the_documented_configuration(tmp_path, scene):
    for text in ((FIXTURES / "metrics.txt").read_bytes(), _scrape(scene, "text/plain")[1].encode()):
        done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, timeout=150, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    # It can tell what is wrong.
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=b"a_total 1\na_total 1\n", capture_output=True, timeout=150, check=False)
    assert done.returncode != 0
    page = (FIXTURES.parents[2] / "docs/metrics.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```yml\n(.*?)```", page, re.S)
    config = tmp_path / "prometheus.yml"
    config.write_text(example, encoding="utf-8")
    done = subprocess.run([PROMTOOL, "check", "config", "--syntax-only", config], capture_output=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
