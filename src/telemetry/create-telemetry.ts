import { diag, DiagLogLevel } from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import type { IMetricReader } from "@opentelemetry/sdk-metrics";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import type { DestinationStream, Logger } from "pino";
import { ConfigError } from "../config/config-error.ts";
import type { Config } from "../config/config.ts";
import { fileErrorMessage } from "../config/environment.ts";
import { withTimeout } from "../timing.ts";
import { metricNames } from "./attributes.ts";
import { createAudit } from "./audit.ts";
import { fileSink, stderrSink } from "./audit-file.ts";
import type { AuditSink } from "./audit-file.ts";
import { createLog } from "./log.ts";
import { createAccumulators, createMetrics } from "./metrics.ts";
import { createPrometheus } from "./prometheus.ts";
import { createRedactor } from "./redact.ts";
import type { Telemetry } from "./telemetry.ts";
import { createTracing, otlpOptions } from "./trace.ts";

/** Options of the telemetry. */
export interface TelemetryOptions {
  readonly config: Pick<Config, "logLevel" | "auditFile" | "otel" | "prices">;
  /** Texts that no log line, span or audit line may show: `secretTexts(config)`. */
  readonly secrets: readonly string[];
  readonly version: string;
  /** Formats the log for people at a terminal, instead of JSON lines. */
  readonly pretty: boolean;
  /** Destination of log lines; stdout by default. */
  readonly destination?: DestinationStream;
  /** Destination of audit lines if the file is `-`. */
  readonly stderr?: NodeJS.WritableStream;
  /** Receives each span when it ends. */
  readonly spanExporter?: SpanExporter;
}

const maxCloseMs = 5000;

/** Creates logs, metrics, spans and audit log. Throws a ConfigError if the audit file cannot be opened. */
export function createTelemetry(options: TelemetryOptions): Telemetry {
  const { config, version } = options;
  const redactor = createRedactor(options.secrets);
  const { log, dropped, flush } = createLog({
    level: config.logLevel,
    pretty: options.pretty,
    redactor,
    destination: options.destination,
  });
  if (config.otel.traces !== undefined || config.otel.metrics !== undefined) reportExportProblems(log);

  const audit = createAudit({
    sink: openSink(config.auditFile, options.stderr ?? process.stderr),
    redactor,
    report(state) {
      if (state.failed)
        log.error({ file: config.auditFile, err: state.reason }, "the audit log cannot be written; its lines wait");
      else log.info({ file: config.auditFile, lost: state.lost }, "the audit log is written again");
    },
  });

  const resource = defaultResource().merge(
    resourceFromAttributes({
      ...config.otel.resourceAttributes,
      "service.name": config.otel.serviceName,
      "service.version": version,
    }),
  );
  const tracing = createTracing({ otel: config.otel, resource, version, redactor, spanExporter: options.spanExporter });

  const series = createAccumulators({ resource, scope: { name: "jackfield", version } });
  const metricProducers = [series.producer];
  const prometheus = createPrometheus(metricProducers, log);
  const readers: IMetricReader[] = [prometheus.reader];
  if (config.otel.metrics !== undefined) {
    const exporter = new OTLPMetricExporter(otlpOptions(config.otel.metrics));
    const exportIntervalMillis = config.otel.metricIntervalMs;
    const exportTimeoutMillis = Math.min(config.otel.metrics.timeoutMs, exportIntervalMillis);
    readers.push(
      new PeriodicExportingMetricReader({ exporter, exportIntervalMillis, exportTimeoutMillis, metricProducers }),
    );
  }
  const meters = new MeterProvider({ resource, readers });
  const meter = meters.getMeter("jackfield", version);
  meter
    .createObservableCounter(metricNames.auditLost, { description: "Audit lines that were lost to a failing disk." })
    .addCallback((result) => result.observe(audit.lost));
  meter
    .createObservableCounter(metricNames.logDropped, { description: "Log lines that could not be written." })
    .addCallback((result) => result.observe(dropped()));

  let closing: Promise<void> | undefined;
  return {
    log,
    tracer: tracing.tracer,
    tracing: tracing.tracing,
    begin: tracing.begin,
    metrics: createMetrics(meter, series, config.prices),
    audit,
    hide: redactor.hide,
    hideToken: redactor.hideToken,
    redact: redactor.redact,
    extract: tracing.extract,
    inject: tracing.inject,
    prometheus: prometheus.text,
    flushLog: flush,
    close() {
      closing ??= closeAll(
        [audit.close(), withTimeout(Promise.all([tracing.close(), meters.shutdown()]), maxCloseMs, closeTimeoutError)],
        log,
      );
      return closing;
    },
  };
}

function openSink(path: string, stderr: NodeJS.WritableStream): AuditSink {
  if (path === "-") return stderrSink(stderr);
  try {
    return fileSink(path);
  } catch (reason) {
    throw new ConfigError([
      `JACKFIELD_AUDIT_FILE must name a file that can be written; found ${JSON.stringify(path)} (${fileErrorMessage(reason)}).`,
    ]);
  }
}

async function closeAll(parts: readonly Promise<unknown>[], log: Logger): Promise<void> {
  for (const result of await Promise.allSettled(parts)) {
    if (result.status === "rejected") log.warn({ err: result.reason }, "telemetry could not be flushed");
  }
}

function closeTimeoutError(): Error {
  return new Error(`the exporters did not finish within ${maxCloseMs} ms`);
}

/** Logs export problems: the library reports them only to its own logger, one per process. */
function reportExportProblems(log: Logger): void {
  const warn = (...messages: unknown[]): void => log.warn({ details: messages.map(String) }, "telemetry export");
  const nothing = (): void => undefined;
  diag.setLogger(
    { error: warn, warn, info: nothing, debug: nothing, verbose: nothing },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}
