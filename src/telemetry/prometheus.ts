import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import type { IMetricReader, MetricData, MetricProducer } from "@opentelemetry/sdk-metrics";
import type { Logger } from "pino";

/** Buckets must precede sum and count: a widely used parser fails on this exporter's order. */
const countBeforeBuckets = /^((\w+)_count[^\n]*\n\2_sum[^\n]*\n)((?:\2_bucket[^\n]*\n)+)/gm;

/** Creates the text for Prometheus, without the exporter's own server. */
export function createPrometheus(
  metricProducers: MetricProducer[],
  log: Logger,
): { reader: IMetricReader; text(): Promise<string> } {
  const reader = new PrometheusExporter({ preventServerStart: true, metricProducers });
  const serializer = new PrometheusSerializer(undefined, false, undefined, false, true);
  return {
    reader,
    async text() {
      const { resourceMetrics, errors } = await reader.collect();
      if (errors.length > 0) log.warn({ errors: errors.map(String) }, "some metrics could not be collected");
      const scopeMetrics = resourceMetrics.scopeMetrics.map(({ scope, metrics }) => ({
        scope,
        metrics: metrics.map(withUnit),
      }));
      return serializer
        .serialize({ resource: resourceMetrics.resource, scopeMetrics })
        .replace(countBeforeBuckets, "$3$1");
    },
  };
}

/** Appends the unit to the name (`_seconds`), which Prometheus expects and this exporter omits. */
function withUnit(metric: MetricData): MetricData {
  const { name, unit } = metric.descriptor;
  if (unit !== "s" || name.endsWith("_seconds")) return metric;
  return { ...metric, descriptor: { ...metric.descriptor, name: `${name}_seconds`, unit: "seconds" } };
}
