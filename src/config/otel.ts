import type { OtelConfig, OtlpTarget, Sampling } from "./config.ts";
import type { Environment } from "./environment.ts";
import { Secret } from "../secret.ts";
import { httpUrl, wholeNumber, word } from "./values.ts";

const samplers = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;

/** Reads the standard `OTEL_*` variables. */
export function otelFrom(environment: Environment): OtelConfig {
  const off = word(environment, "OTEL_SDK_DISABLED", ["true", "false"], "false") === "true";
  const attributes = pairs(environment, "OTEL_RESOURCE_ATTRIBUTES", environment.get("OTEL_RESOURCE_ATTRIBUTES"));
  const { "service.name": named, ...resourceAttributes } = attributes;
  return {
    serviceName: environment.get("OTEL_SERVICE_NAME") ?? named ?? "jackfield",
    resourceAttributes,
    traces: off ? undefined : target(environment, "TRACES"),
    metrics: off ? undefined : target(environment, "METRICS"),
    sampling: samplingFrom(environment),
    metricIntervalMs: wholeNumber(environment, "OTEL_METRIC_EXPORT_INTERVAL", 100, 86_400_000, 60_000),
  };
}

function target(environment: Environment, signal: "TRACES" | "METRICS"): OtlpTarget | undefined {
  if (word(environment, `OTEL_${signal}_EXPORTER`, ["otlp", "none"], "otlp") === "none") return undefined;
  const own = environment.get(`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`);
  const shared = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT");
  const url =
    own === undefined
      ? httpUrl(environment, shared === undefined ? undefined : { key: "OTEL_EXPORTER_OTLP_ENDPOINT", text: shared })
      : httpUrl(environment, { key: `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`, text: own });
  if (url === undefined) return undefined;
  const protocols = ["http/protobuf"] as const;
  word(environment, "OTEL_EXPORTER_OTLP_PROTOCOL", protocols, "http/protobuf");
  word(environment, `OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`, protocols, "http/protobuf");
  const headers = {
    ...pairs(environment, "OTEL_EXPORTER_OTLP_HEADERS", environment.secret("OTEL_EXPORTER_OTLP_HEADERS")),
    ...pairs(
      environment,
      `OTEL_EXPORTER_OTLP_${signal}_HEADERS`,
      environment.secret(`OTEL_EXPORTER_OTLP_${signal}_HEADERS`),
    ),
  };
  const timeoutMs = wholeNumber(environment, "OTEL_EXPORTER_OTLP_TIMEOUT", 1, 600_000, 10_000);
  return {
    url: own === undefined ? `${url}/v1/${signal.toLowerCase()}` : url,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, new Secret(value)])),
    timeoutMs: wholeNumber(environment, `OTEL_EXPORTER_OTLP_${signal}_TIMEOUT`, 1, 600_000, timeoutMs),
  };
}

function samplingFrom(environment: Environment): Sampling {
  const sampler = word(environment, "OTEL_TRACES_SAMPLER", samplers, "parentbased_always_on");
  const parentBased = sampler.startsWith("parentbased_");
  if (sampler.endsWith("always_on")) return { parentBased, ratio: 1 };
  if (sampler.endsWith("always_off")) return { parentBased, ratio: 0 };
  const text = environment.get("OTEL_TRACES_SAMPLER_ARG") ?? "1";
  const ratio = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (ratio >= 0 && ratio <= 1) return { parentBased, ratio };
  environment.problem(`OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1; found ${JSON.stringify(text)}.`);
  return { parentBased, ratio: 1 };
}

/**
 * Parses `key=value` pairs, percent-encoded as in W3C baggage. Problems contain no values, because headers contain
 * keys.
 */
function pairs(environment: Environment, name: string, text: string | undefined): Record<string, string> {
  const found: Record<string, string> = {};
  for (const pair of (text ?? "").split(",").filter((part) => part.trim() !== "")) {
    const at = pair.indexOf("=");
    try {
      if (at < 1) throw new Error("no equals sign");
      found[decodeURIComponent(pair.slice(0, at).trim())] = decodeURIComponent(pair.slice(at + 1).trim());
    } catch {
      environment.problem(`${name} must be a list of key=value; found another entry.`);
    }
  }
  return found;
}
