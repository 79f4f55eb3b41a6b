import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Program, root, startProgram } from "./program.ts";

/** Keys of the measured service: its callers are authenticated as in production. */
export const keys = {
  rpc: "bench-rpc-key-0123456789",
  cognigy: "bench-cognigy-key-0123456789",
  genesys: "bench-genesys-key-0123456789",
};

/** What is on in the measured service, in words for the results. */
export const measuredConfiguration =
  "API keys on every way in, metrics (Prometheus and OTLP), an audit line per call in a hash-chained file, " +
  "tracing at 1 % with OTLP export to a local sink, the ledger where the effect asks for it (SQLite, `synchronous=FULL`), info log";

/** Starts the service as in production: keys, metrics, audit to a file, tracing at 1 %, embedded store unless an engine is given. */
export function startService(options: {
  core: number | undefined;
  /** Folder for data, audit and configuration. */
  folder: string;
  /** URL of the sink for spans, tokens and deliveries. */
  sink: string;
  engineUrl?: string;
  /** Paths, or whole entries of the file. */
  plugins?: readonly (string | Readonly<Record<string, unknown>>)[];
  nodeArgs?: readonly string[];
}): Promise<Program> {
  const { folder, sink } = options;
  const plugins =
    options.plugins ?? ["read", "write", "idempotent"].map((name) => join(root, "bench/plugins", `${name}.ts`));
  const file = join(folder, "jackfield.yaml");
  writeFileSync(
    file,
    JSON.stringify({ plugins: plugins.map((plugin) => (typeof plugin === "string" ? { use: plugin } : plugin)) }),
  );
  return startProgram("bin/jackfield.js", {
    core: options.core,
    args: ["serve"],
    nodeArgs: options.nodeArgs ?? [],
    env: {
      PORT: "0",
      JACKFIELD_CONFIG: file,
      JACKFIELD_DATA_DIR: join(folder, "data"),
      JACKFIELD_API_KEYS: `bench:${keys.rpc}`,
      COGNIGY_API_KEY: keys.cognigy,
      GENESYS_WEBHOOK_KEY: keys.genesys,
      GENESYS_API_BASE_URL: sink,
      GENESYS_TOKEN_URL: `${sink}/oauth/token`,
      GENESYS_CLIENT_ID: "bench",
      GENESYS_CLIENT_SECRET: "bench-secret-0123456789",
      OTEL_EXPORTER_OTLP_ENDPOINT: sink,
      OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0.01",
      ...(options.engineUrl !== undefined && { JACKFIELD_ENGINE_URL: options.engineUrl }),
    },
  });
}
