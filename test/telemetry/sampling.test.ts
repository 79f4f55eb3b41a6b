import { ROOT_CONTEXT, trace, TraceFlags } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { InMemorySpanExporter, SamplingDecision, TraceIdRatioBasedSampler } from "@opentelemetry/sdk-trace";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createRedactor } from "../../src/telemetry/redact.ts";
import { newTraceId } from "../../src/telemetry/ids.ts";
import { createTracing, ratioOf } from "../../src/telemetry/trace.ts";

function tracingAt(ratio: number) {
  const spanExporter = new InMemorySpanExporter();
  const tracing = createTracing({
    otel: {
      serviceName: "test",
      resourceAttributes: {},
      traces: undefined,
      metrics: undefined,
      sampling: { parentBased: true, ratio },
      metricIntervalMs: 60_000,
    },
    resource: resourceFromAttributes({}),
    version: "test",
    redactor: createRedactor([]),
    spanExporter,
  });
  return { tracing, spanExporter };
}

test("a share of the traces is recorded, each with all of its spans", async () => {
  const { tracing, spanExporter } = tracingAt(0.5);
  const recorded = new Set<string>();
  for (let count = 0; count < 400; count++) {
    const parent = tracing.tracer.startSpan("parent", {}, ROOT_CONTEXT);
    const child = tracing.tracer.startSpan("child", {}, trace.setSpan(ROOT_CONTEXT, parent));
    expect(child.spanContext().traceId).toBe(parent.spanContext().traceId);
    expect(child.isRecording()).toBe(parent.isRecording());
    if (parent.isRecording()) recorded.add(parent.spanContext().traceId);
    child.end();
    parent.end();
  }
  expect(recorded.size).toBeGreaterThan(100);
  expect(recorded.size).toBeLessThan(300);
  const spans = spanExporter.getFinishedSpans();
  expect(spans).toHaveLength(recorded.size * 2);
  expect(new Set(spans.map((span) => span.spanContext().traceId))).toEqual(recorded);
  await tracing.close();
});

test("a trace that is not recorded still has ids", async () => {
  const { tracing } = tracingAt(0);
  const [first, second] = [1, 2].map(() => tracing.tracer.startSpan("call", {}, ROOT_CONTEXT).spanContext());
  expect(first!.traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(first!.spanId).toMatch(/^[0-9a-f]{16}$/);
  expect(first!.traceFlags).toBe(TraceFlags.NONE);
  expect(second!.traceId).not.toBe(first!.traceId);
  await tracing.close();
});

test("a caller's sampling decision counts, whatever the ratio", async () => {
  const { tracing, spanExporter } = tracingAt(0);
  const asked = tracing.extract("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  tracing.tracer.startSpan("call", {}, asked).end();
  expect(spanExporter.getFinishedSpans().map((span) => span.spanContext().traceId)).toEqual([
    "0af7651916cd43dd8448eb211c80319c",
  ]);
  await tracing.close();
});

test("the decision is the same as the library's", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (ratio) => {
      const traceId = newTraceId();
      const { decision } = new TraceIdRatioBasedSampler(ratio).shouldSample(ROOT_CONTEXT, traceId);
      expect(ratioOf(ratio)(traceId)).toBe(decision === SamplingDecision.RECORD_AND_SAMPLED);
    }),
  );
});

test("children of an unrecorded trace share its id, and need no attributes", async () => {
  const { tracing } = tracingAt(0);
  const options = (): never => {
    throw new Error("nobody reads them");
  };
  const { context, span } = tracing.begin("call", undefined, options);
  expect(span).toBeUndefined();
  expect(tracing.begin("child", context, options)).toEqual({ context, span: undefined });
  const { traceparent } = tracing.inject(context);
  expect(traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  expect(tracing.inject(context)).toEqual({ traceparent });
  const child = tracing.tracer.startSpan("request", {}, context.setValue(Symbol("other"), 1));
  expect(child.spanContext().traceId).toBe(traceparent!.slice(3, 35));
  await tracing.close();
});
