import * as Type from "typebox";
import type { Static } from "typebox";
import type { AdapterConfiguration, SettingSchema } from "../settings.ts";
import { caller, oauth, signature } from "./caller-schema.ts";
import { closed, day, flag, integer, mebibyte, oneOf, peerTls, text, texts } from "./schema-parts.ts";
import { encryption, jobs, ledger } from "./stored-schema.ts";

const price = Type.Number({ minimum: 0 });

const sanitize = oneOf(["strict", "text", "off"], "How string arguments are sanitised before validation.");

const plugin = Type.Object(
  {
    use: Type.String({
      minLength: 1,
      description: "A package name, or ./a/path to a module file or a package folder.",
    }),
    config: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: "Settings defined by the plugin's configSchema." }),
    ),
    limits: Type.Optional(
      Type.Object(
        {
          timeoutMs: integer(1, day, "Execution deadline in milliseconds."),
          concurrency: integer(1, 100_000, "Maximum number of concurrent executions."),
          queue: integer(0, 1_000_000, "Maximum number of executions that wait for a slot."),
        },
        { ...closed, description: "Limits, which override the tool's own." },
      ),
    ),
    retry: Type.Optional(
      Type.Object(
        {
          retries: integer(0, 100, "Retries after the first attempt."),
          baseMs: integer(1, day, "First backoff in milliseconds."),
          maxMs: integer(1, day, "Maximum backoff in milliseconds."),
        },
        { ...closed, description: "How its requests are retried, which overrides the tool's own declaration." },
      ),
    ),
    answerWithinMs: integer(1, day, "Answer deadline in milliseconds, if it is shorter than the caller's."),
    fallbackMessage: text("Message for the model about a failure for which the tool has none."),
    sanitize,
    isolation: oneOf(["none", "worker", "process"], "Where the tool's function runs."),
    required: flag("Whether a problem of the tool makes the service not ready."),
    repeatWindowMs: integer(
      1,
      day,
      "Time in milliseconds for which the same conversation, tool and arguments under a new id get the first answer; off by default.",
    ),
  },
  closed,
);

const adapter = {
  enabled: flag("false removes its routes."),
  answerWithinMs: integer(1, 600_000, "Answer deadline in milliseconds."),
  sanitize,
  maxOutput: integer(256, 16 * mebibyte, "Maximum output in bytes."),
  allowUnauthenticated: flag("Serve it beyond loopback without a key."),
};

const needed = Type.String({ minLength: 1 });
const credential = Type.Object(
  {
    bearer: text("Token of `Authorization: Bearer`."),
    basic: Type.Optional(Type.Object({ username: needed, password: needed }, closed)),
    header: Type.Optional(Type.Object({ name: needed, value: needed }, closed)),
    oauth: Type.Optional(
      Type.Object(
        { tokenUrl: needed, clientId: needed, clientSecret: needed, scopes: texts("Requested scopes.") },
        { ...closed, description: "OAuth client credentials." },
      ),
    ),
  },
  closed,
);

/** The schema of the configuration file, without the adapters' settings: see `configFileSchema`. */
const fileSchema = Type.Object(
  {
    host: text("Address to listen on (HOST)."),
    port: integer(0, 65_535, "Port to listen on (PORT); 0 uses a free one."),
    tls: Type.Optional(
      Type.Object(
        {
          cert: Type.String({ minLength: 1, description: "PEM file: the certificate and the intermediate ones." }),
          key: Type.String({ minLength: 1, description: "PEM file: the private key." }),
          clientCa: text("PEM file: authorities of client certificates. With it, every client needs one (mTLS)."),
        },
        { ...closed, description: "TLS on the port. Changed files are used for new connections." },
      ),
    ),
    dataDir: text("Folder of the embedded stores (JACKFIELD_DATA_DIR)."),
    engine: Type.Optional(
      Type.Object(
        {
          url: text("redis: or postgres: URL of the scale-out engine (JACKFIELD_ENGINE_URL)."),
          mayLoseWork: flag("Start even on a Redis without AOF or noeviction."),
          tls: peerTls,
        },
        closed,
      ),
    ),
    plugins: Type.Optional(Type.Array(plugin, { description: "The plugins to load; the bundled ones by default." })),
    adapters: Type.Optional(Type.Record(Type.String(), Type.Record(Type.String(), Type.Unknown()))),
    callers: Type.Optional(Type.Array(caller, { description: "Callers, in addition to those of JACKFIELD_API_KEYS." })),
    oauth: Type.Optional(Type.Array(oauth, { description: "Issuers of the tokens that are accepted." })),
    rpc: Type.Optional(
      Type.Object(
        {
          allowUnauthenticated: flag("Serve RPC beyond loopback without keys."),
          corsOrigins: texts("Origins of web pages that may call RPCs, by Connect or gRPC-Web."),
        },
        closed,
      ),
    ),
    ledger: Type.Optional(ledger),
    jobs: Type.Optional(jobs),
    encryption: Type.Optional(encryption),
    delivery: Type.Optional(
      Type.Object(
        { retryForMs: integer(0, 7 * day, "Time limit for all attempts of a delivery, in milliseconds.") },
        closed,
      ),
    ),
    shutdown: Type.Optional(
      Type.Object(
        {
          delayMs: integer(
            0,
            600_000,
            "How long new work is accepted after readiness ends, in milliseconds: the time that the balancer needs to notice.",
          ),
        },
        closed,
      ),
    ),
    credentials: Type.Optional(
      Type.Record(Type.String(), credential, {
        description:
          "Credentials that a tool's config may name as `credentials: NAME`. Each contains exactly one of bearer, basic, header and oauth.",
      }),
    ),
    outbound: Type.Optional(
      Type.Object(
        {
          tls: Type.Optional(
            Type.Object({ ca: text("PEM file: authorities that are trusted in addition to Node's.") }, closed),
          ),
        },
        closed,
      ),
    ),
    downstreams: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Object(
          {
            inFlight: integer(1, 100_000, "Maximum number of concurrent requests; 64 by default. Others wait."),
            tls: peerTls,
          },
          closed,
        ),
        { description: "Limits and certificates by origin of a downstream, such as https://erp.example.com." },
      ),
    ),
    limits: Type.Optional(
      Type.Object(
        {
          bodyBytes: integer(1024, 1024 * mebibyte, "Maximum size of a request body, in bytes."),
          argumentsBytes: integer(64, 1024 * mebibyte, "Maximum size of one call's arguments, in bytes."),
          depth: integer(1, 48, "Maximum nesting depth of arguments."),
          callsPerRequest: integer(1, 10_000, "Maximum number of calls in one request."),
          outputBytes: integer(256, 64 * mebibyte, "Maximum output of a tool, in bytes."),
          downstreamBytes: integer(1024, 1024 * mebibyte, "Maximum decoded answer of a downstream, in bytes."),
          streamsPerConnection: integer(1, 100_000, "Maximum number of open HTTP/2 streams on one connection."),
        },
        closed,
      ),
    ),
    prices: Type.Optional(
      Type.Object(
        {
          tools: Type.Optional(Type.Record(Type.String(), price, { description: "Price of one execution by tool." })),
          callers: Type.Optional(
            Type.Record(Type.String(), Type.Record(Type.String(), price), {
              description: "Price by caller and tool, which overrides the tool's own.",
            }),
          ),
        },
        closed,
      ),
    ),
    privateAddresses: texts("Private hosts or CIDRs that tools may reach (JACKFIELD_PRIVATE_ADDRESSES)."),
    allowedHosts: texts("Host values accepted in addition to localhost (JACKFIELD_ALLOWED_HOSTS)."),
    auditFile: text("Audit log, - for stderr (JACKFIELD_AUDIT_FILE)."),
    logLevel: oneOf(["trace", "debug", "info", "warn", "error", "fatal", "silent"], "LOG_LEVEL."),
    sandbox: Type.Optional(
      Type.Unsafe<boolean | "auto">({
        enum: [true, false, "auto"],
        description: "Whether the sandbox simulates systems that are not configured (JACKFIELD_SANDBOX).",
      }),
    ),
  },
  {
    ...closed,
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Jackfield configuration file",
  },
);

/** The content of a configuration file. */
export type FileConfig = Static<typeof fileSchema>;

/** Creates the JSON Schema of the configuration file, including the settings that adapters declare. */
export function configFileSchema(adapters: readonly AdapterConfiguration[]): object {
  const groups = adapters.map(({ name, settings }) => {
    const own = Object.entries(settings).map(([key, setting]) => [key, Type.Optional(Type.Unsafe(plain(setting)))]);
    return [name, Type.Optional(Type.Object({ ...adapter, ...(Object.fromEntries(own) as object) }, closed))] as const;
  });
  const properties = { ...fileSchema.properties, adapters: Type.Object(Object.fromEntries(groups), closed) };
  return { ...fileSchema, properties };
}

/** Returns the setting as plain JSON Schema, without the service's own annotations, which the description mentions. */
function plain({ env, secret: _secret, format, ...schema }: SettingSchema): object {
  const description = env === undefined ? schema.description : `${schema.description.replace(/\.$/, "")} (${env}).`;
  if (format === "named-keys") {
    const text = { type: "string", minLength: 1 };
    const key = { type: "object", properties: { name: text, key: text }, required: ["name", "key"], ...closed };
    return { ...schema, description, items: key };
  }
  if (format === "signature") return { ...signature, description };
  if (schema.type === "array") return { ...schema, description, items: { type: "string", minLength: 1 } };
  return { ...(schema.type === "string" && { minLength: 1 }), ...schema, description };
}
