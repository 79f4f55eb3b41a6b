import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import type { IMetricReader, MetricData, MetricProducer } from "@opentelemetry/sdk-metrics";
import type { Logger } from "pino";

/** Buckets belong before sum and count; a parser in wide use stumbles over this exporter's order. */
const countBeforeBuckets = /^((\w+)_count[^\n]*\n\2_sum[^\n]*\n)((?:\2_bucket[^\n]*\n)+)/gm;

/** Makes the text that Prometheus reads, without the exporter's own server. */
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

/** Prometheus wants the unit in the name (`_seconds`); this exporter leaves it out. */
function withUnit(metric: MetricData): MetricData {
  const { name, unit } = metric.descriptor;
  if (unit !== "s" || name.endsWith("_seconds")) return metric;
  return { ...metric, descriptor: { ...metric.descriptor, name: `${name}_seconds`, unit: "seconds" } };
}
