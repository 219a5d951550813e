"""Traces through a real gateway, to a real collector's protocol."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.serving.gateway.conftest import serving, wait_for

ONE = {"entity": {"customer_id": 1}}
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def parent(trace: str = TRACE, flags: str = "01") -> dict[str, str]:
    """Headers of a caller's trace."""
    return {"traceparent": f"00-{trace}-{SPAN}-{flags}"}


def test_a_callers_trace_reaches_triton_and_comes_back(stage):
    """Passed on as it came, and named in the answer."""
    answer = stage.predict(ONE, headers={**parent(), "tracestate": "vendor=1"})

    passed_on = stage.triton.metadata[-1]
    assert (f"00-{TRACE}-{SPAN}-01", "vendor=1") == (passed_on["traceparent"], passed_on["tracestate"])
    assert TRACE == answer.headers["x-trace-id"]


def test_without_a_valid_trace_there_is_none(stage):
    """Nothing is invented where no spans are exported."""
    for headers in ({}, {"traceparent": "00-nonsense-01"}):
        answer = stage.predict(ONE, headers=headers)
        assert 200 == answer.status_code
        assert "x-trace-id" not in answer.headers
        assert "traceparent" not in stage.triton.metadata[-1]


def test_a_refusals_log_line_names_its_trace(refusing, caplog):
    """So that it is found from the caller's side."""
    with caplog.at_level(logging.WARNING):
        answer = refusing.predict({}, headers=parent())

    assert (422, TRACE) == (answer.status_code, answer.headers["x-trace-id"])
    assert [TRACE] == [record.fields["trace_id"] for record in caplog.records if hasattr(record, "fields")]


def test_tensors_carry_their_trace_too(stage):
    """The open protocol's requests are part of their callers' traces."""
    tensors = [
        {"name": "numeric", "shape": [1, 2], "datatype": "FP32", "data": [120.5, 4]},
        {"name": "categorical", "shape": [1, 1], "datatype": "BYTES", "data": ["GROCERY"]},
    ]
    answer = stage.client.post("/v2/models/churn/infer", json={"inputs": tensors}, headers=parent())

    assert 200 == answer.status_code
    assert f"00-{TRACE}-{SPAN}-01" == stage.triton.metadata[-1]["traceparent"]


@contextmanager
def collector() -> Iterator[tuple[str, list[Span]]]:
    """An OpenTelemetry collector that keeps spans; yield its address and what it got."""
    spans: list[Span] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert ("/v1/traces", None) == (self.path, self.headers["Content-Encoding"])
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_of_a_batch_link_its_requests(tmp_path, triton):
    """A call for two requests is the child of one and linked to the other; unrecorded traces get no span."""
    others = [f"{number:032x}" for number in (1, 2)]
    with collector() as (endpoint, spans):
        settings = {"otlp_endpoint": endpoint, "trace_share": 0.0}
        patient = serving(tmp_path, triton, settings=settings, deadline_seconds=60.0)
        with patient as stage, ThreadPoolExecutor(3) as pool:
            stage.triton.gate.clear()
            first = pool.submit(stage.predict, ONE, headers=parent(flags="00"))
            wait_for(lambda: len(stage.triton.calls) == 1)
            queued = [pool.submit(stage.predict, ONE, headers=parent(trace)) for trace in others]
            wait_for(lambda: 'queue_depth{model="churn"} 2.0' in stage.client.get("/metrics").text)
            stage.triton.gate.set()
            assert [TRACE, *others] == [each.result().headers["x-trace-id"] for each in (first, *queued)]
            passed_on = [metadata["traceparent"] for metadata in stage.triton.metadata]

    requests = {span.trace_id.hex(): span for span in spans if span.kind == Span.SPAN_KIND_SERVER}
    (call,) = (span for span in spans if span.kind == Span.SPAN_KIND_CLIENT)
    leader, linked = call.trace_id.hex(), call.links[0].trace_id.hex()
    assert set(others) == requests.keys() == {leader, linked}
    assert {"POST /v1/predict/{model}"} == {span.name for span in requests.values()}
    assert {SPAN} == {span.parent_span_id.hex() for span in requests.values()}
    assert (requests[leader].span_id, requests[linked].span_id) == (
        call.parent_span_id,
        call.links[0].span_id,
    )
    assert [f"00-{TRACE}-{SPAN}-00", f"00-{leader}-{call.span_id.hex()}-01"] == passed_on


def test_a_share_of_other_requests_starts_traces(tmp_path, triton):
    """With share 1 every request is recorded, and told its trace."""
    with collector() as (endpoint, spans):
        settings = {"otlp_endpoint": endpoint, "trace_share": 1.0}
        with serving(tmp_path, triton, settings=settings) as stage:
            trace = stage.predict(ONE).headers["x-trace-id"]

    assert {trace} == {span.trace_id.hex() for span in spans}
    assert trace in triton[0].metadata[-1]["traceparent"]
