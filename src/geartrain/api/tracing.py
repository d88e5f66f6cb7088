"""OpenTelemetry traces: off unless an endpoint is set, one server span a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.trace import Span, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from geartrain.api.bodies import Headed

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_CONTEXT = ("traceparent", "tracestate")


def tracer_from(environ: Mapping[str, str]) -> Tracer | None:
    """A tracer that exports to the collector that *environ* names, or None where it names none."""
    if not environ.get(ENDPOINT):
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": environ.get("OTEL_SERVICE_NAME", "geartrain")})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("geartrain.serving")


@contextmanager
def request_span(tracer: Tracer | None, route: str, asked: Headed) -> Iterator[Span | None]:
    """A server span for one request, child of the W3C trace context that came with it."""
    if tracer is None:
        yield None
        return
    carrier = {name: value for name in _CONTEXT if (value := asked.header(name)) is not None}
    context = TraceContextTextMapPropagator().extract(carrier)
    attributes = {"http.route": route, "http.request.method": asked.method}
    with tracer.start_as_current_span(
        f"{asked.method} {route}", context=context, kind=SpanKind.SERVER, attributes=attributes
    ) as span:
        yield span


def trace_id_of(span: Span | None) -> str:
    """The span's trace id as W3C writes it, empty without a span."""
    return "" if span is None else f"{span.get_span_context().trace_id:032x}"
