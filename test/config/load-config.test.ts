import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import { configFileSchema } from "../../src/config/schema.ts";
import { platforms } from "../../src/adapters/platforms.ts";
import type { GenesysSettings } from "../../src/adapters/genesys/settings.ts";
import { loadConfig } from "../../src/app/load-config.ts";
import { prepare } from "../../src/app/prepare.ts";
import { withSandbox } from "../../src/app/sandbox-parts.ts";
import type { Config } from "../../src/config/config.ts";
import { folder, load, problemsOf } from "./loading.ts";

const genesysOf = ({ adapters }: Config) => adapters["genesys"]?.settings as unknown as GenesysSettings;

async function parts(env: Record<string, string>, yaml?: string): Promise<string[]> {
  return [...(await prepare(load(env, yaml))).sandboxParts].sort();
}

test("an empty configuration is valid: loopback, bundled plugins, the whole sandbox", async () => {
  const config = load();
  expect(config).toMatchObject({ host: "127.0.0.1", port: 8080, logLevel: "info", sandbox: "auto" });
  expect(config.plugins.map(({ use }) => use)).toHaveLength(6);
  expect(config.warnings).toHaveLength(2);
  const prepared = await prepare(config);
  expect([...prepared.sandboxParts].sort()).toEqual(["backOffice", "genesys", "inventory", "weather"]);
  const played = withSandbox(prepared, { backOffice: "http://b", weather: "http://w", genesys: "http://p" });
  expect(played.config.plugins[0]?.config).toEqual({ baseUrl: "http://b" });
  expect(played.config.plugins[3]?.config).toEqual({ baseUrl: "http://w", geocodingBaseUrl: "http://w" });
  expect(played.config.plugins[5]?.config).toEqual({ dataDir: join(config.dataDir, "inventory"), sampleData: true });
  expect(genesysOf(played.config)).toMatchObject({
    apiBaseUrl: "http://p",
    tokenUrl: "http://p/oauth/token",
    clientId: "sandbox",
  });
});

test("each part of the sandbox is disabled if its real counterpart is configured", async () => {
  expect(await parts({ EXTERNAL_API_BASE_URL: "https://erp.example.com/" })).not.toContain("backOffice");
  expect(
    await parts({ WEATHER_API_BASE_URL: "https://w.example.com", GEOCODING_API_BASE_URL: "https://g.example.com" }),
  ).not.toContain("weather");
  expect(await parts({ GENESYS_API_BASE_URL: "https://api.mypurecloud.de" })).not.toContain("genesys");
  const credentials = { GENESYS_CLIENT_ID: "id", GENESYS_CLIENT_SECRET: "secret", JACKFIELD_SANDBOX: "true" };
  expect(await parts(credentials)).toEqual(["backOffice", "inventory", "weather"]);
  expect(await parts({}, "plugins: []\n")).toEqual(["genesys"]);
  expect(await parts({}, "sandbox: false\n")).toEqual([]);
});

test.each<Record<string, string>>([
  { JACKFIELD_API_KEYS: "crm:key-1" },
  { COGNIGY_API_KEY: "key-1" },
  { GENESYS_WEBHOOK_KEY: "key-1" },
  { GENESYS_CLIENT_ID: "id", GENESYS_CLIENT_SECRET: "secret" },
  { EXTERNAL_API_KEY: "key-1" },
  { NODE_ENV: "production" },
  { JACKFIELD_SANDBOX: "false" },
])("with %o the sandbox is disabled unless it is requested", async (given) => {
  expect(await parts(given)).toEqual([]);
  expect(await parts({ ...given, JACKFIELD_SANDBOX: "true" })).toContain("backOffice");
});

test("without the sandbox the embedded database gets no sample rows", async () => {
  const prepared = await prepare(load({ JACKFIELD_SANDBOX: "false" }));
  expect(withSandbox(prepared, {}).config.plugins[5]?.config).toMatchObject({ sampleData: false });
  expect(await parts({}, 'plugins: [{ use: "@jackfield/search-inventory", config: { sampleData: false } }]\n')).toEqual(
    ["genesys"],
  );
});

test("the token endpoint is at login.REGION if the API is at api.REGION", () => {
  const tokenUrl = (env: Record<string, string>) => genesysOf(load(env)).tokenUrl;
  expect(tokenUrl({})).toBe("https://login.mypurecloud.com/oauth/token");
  expect(tokenUrl({ GENESYS_API_BASE_URL: "https://api.euw2.pure.cloud" })).toBe(
    "https://login.euw2.pure.cloud/oauth/token",
  );
  expect(tokenUrl({ GENESYS_API_BASE_URL: "http://127.0.0.1:9090" })).toBe("http://127.0.0.1:9090/oauth/token");
  expect(tokenUrl({ GENESYS_TOKEN_URL: "https://idp.example/t" })).toBe("https://idp.example/t");
});

test("the contract's example file is read, and variables override it", () => {
  const config = load(
    { EXTERNAL_API_KEY: "erp-key-1", CRM_KEY: "crm-key-1", PORT: "0" },
    `port: 9000
plugins:
  - use: "@jackfield/get-order-status"
    config: { baseUrl: "https://erp.example.com", apiKey: "\${env:EXTERNAL_API_KEY}" }
    limits: { timeoutMs: 3000, concurrency: 16, queue: 32 }
    isolation: worker
    required: true
  - use: ./mine
adapters:
  cognigy: { answerWithinMs: 4000, corsOrigins: ["https://app.cognigy.ai"] }
callers:
  - { name: crm, keys: ["\${env:CRM_KEY}"], scopes: [tools:execute], tools: ["get_*"] }
  - { name: bot, tenant: t2, keys: [bot-key], rateLimit: { requestsPerSecond: 2.5 } }
rpc: { corsOrigins: ["https://console.example.com"] }
`,
  );
  expect(config.port).toBe(0);
  expect(config.plugins[0]).toMatchObject({
    config: { baseUrl: "https://erp.example.com", apiKey: "erp-key-1" },
    limits: { timeoutMs: 3000 },
    required: true,
  });
  expect(config.plugins[1]?.use).toBe(join(config.file!, "..", "mine"));
  expect(config.callers[0]?.caller).toEqual({
    name: "crm",
    tenant: "default",
    scopes: new Set(["tools:execute"]),
    tools: ["get_*"],
  });
  expect(config.callers[1]?.caller).toMatchObject({ tenant: "t2", rateLimit: { requestsPerSecond: 2.5, burst: 3 } });
  expect(config.rpc.corsOrigins).toEqual(["https://console.example.com"]);
  expect(config.adapters["cognigy"]?.settings.answerWithinMs).toBe(4000);
});

test("numbers and booleans may come from placeholders, but only as whole values", () => {
  const yaml =
    'limits: { bodyBytes: "${env:N}" }\nadapters: { cognigy: { enabled: "${env:NO}" } }\nsandbox: "${env:NO}"\n';
  const config = load({ N: "2048", NO: "false" }, yaml);
  expect(config).toMatchObject({ limits: { bodyBytes: 2048 }, sandbox: false });
  expect(config.adapters["cognigy"]?.settings.enabled).toBe(false);
  for (const [value, N] of [
    ["${env:N}", "2k"],
    ["${env:N}", "2048.5"],
    ["${env:N}", "12"],
    ["${env:N}8", "204"],
    ["$${env:N}", "2048"],
  ] as const) {
    expect(problemsOf({ N }, `limits: { bodyBytes: "${value}" }`)).toEqual([
      expect.stringContaining("limits.bodyBytes must be"),
    ]);
  }
  expect(load({ N: "2048" }, 'callers: [{ name: a, keys: ["${env:N}"] }]').callers[0]?.keys[0]?.reveal()).toBe("2048");
});

test.each([
  [{ PORT: "abc" }, 'PORT must be a whole number from 0 to 65535; found "abc".'],
  [{ PORT: "65536" }, "65536"],
  [{ HOST: "a b" }, "HOST must be a host name"],
  [{ LOG_LEVEL: "loud" }, "LOG_LEVEL must be one of"],
  [{ GENESYS_CLIENT_ID: "x" }, "GENESYS_CLIENT_SECRET must be set together with GENESYS_CLIENT_ID"],
  [{ JACKFIELD_ENGINE_URL: "mysql://x" }, "JACKFIELD_ENGINE_URL must be a URL of scheme redis:"],
  [{ REDIS_URL: "postgres://x" }, "REDIS_URL"],
  [
    { JACKFIELD_CONFIG: "none.yaml" },
    'JACKFIELD_CONFIG must name a file that can be read; found "none.yaml" (there is no such file).',
  ],
  [{ JACKFIELD_API_KEYS: "crm:" }, 'must contain a key after "crm:"'],
  [{ JACKFIELD_API_KEYS: "hunter2" }, "Entry 1 of JACKFIELD_API_KEYS must be name:key"],
  [{ JACKFIELD_API_KEYS: "a:k1,a:k2" }, 'found "a" twice'],
  [{ JACKFIELD_API_KEYS: "a:hunter2,b:hunter2" }, 'found the key of "a"'],
  [{ JACKFIELD_API_KEYS: "a:k:tools:exec" }, "did you mean tools:execute?"],
  [{ JACKFIELD_API_KEYS: "crm:tools:execute:hunter2" }, "must name known scopes after the key"],
  [{ COGNIGY_API_KEY: "a:k,hunter2" }, "Entry 2 of COGNIGY_API_KEY must be name:key"],
  [{ COGNIGY_API_KEY: "hunter2", COGNIGY_API_KEY_FILE: "x" }, "must not both be set"],
  [{ COGNIGY_API_KEY_FILE: "none" }, "COGNIGY_API_KEY_FILE must name a file"],
  [{ OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "2" }, "OTEL_TRACES_SAMPLER_ARG"],
  [{ JACKFIELD_PRIVATE_ADDRESSES: "10.0.0.0/99" }, "JACKFIELD_PRIVATE_ADDRESSES"],
  [{ JACKFIELD_PRIVATE_ADDRESSES: "10.0.0" }, "JACKFIELD_PRIVATE_ADDRESSES must list hosts, addresses or CIDRs"],
  [{ JACKFIELD_PRIVATE_ADDRESSES: "*.corp.example" }, 'found "*.corp.example".'],
])("a wrong variable %o is reported in one sentence that names it and reveals no secret", (env, sentence) => {
  const found = problemsOf(env);
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(sentence);
  expect(found[0]).not.toContain("hunter2");
  expect(found[0]).toMatch(/[.?]$/);
});

test.each([
  [{ DATABASE_URL: "mysql://u:hunter2@x" }, "DATABASE_URL must be a URL of scheme postgres:"],
  [{ EXTERNAL_API_BASE_URL: "ftp://x" }, "EXTERNAL_API_BASE_URL must be an http: or https: URL"],
])("a wrong variable of a plugin %o is reported in one sentence that names it", async (env, sentence) => {
  const reason: unknown = await prepare(load(env as Record<string, string>)).catch((error: unknown) => error);
  expect(reason).toBeInstanceOf(ConfigError);
  expect((reason as ConfigError).problems).toHaveLength(1);
  expect((reason as ConfigError).problems[0]).toContain(sentence);
  expect((reason as ConfigError).message).not.toContain("hunter2");
});

test.each([
  ["adaptors: {}", "jackfield.yaml: adaptors is not a known key; did you mean adapters?"],
  [
    "plugins: [{ use: x, limits: { timeout: 1 } }]",
    "plugins[0].limits.timeout is not a known key; did you mean timeoutMs?",
  ],
  ["port: abc", 'port must be a whole number from 0 to 65535; found "abc".'],
  ["plugins: [{ config: {} }]", "plugins[0].use is needed; found nothing."],
  ["limits: { depth: 99 }", "limits.depth must be from 1 to 48; found 99."],
  ['host: "${env:NOPE}"', "host needs the variable NOPE; found it not set or empty."],
  ['host: "${file:nope}"', 'host needs the file "nope"'],
  ['host: "${NOPE}"', "may contain ${env:NAME} or ${file:path}"],
  ["callers: [{ name: a, keys: [] }]", "callers[0].keys must be a list of at least 1; found an empty list."],
  ["callers: [{ name: a, keys: [12345] }]", "callers[0].keys[0] must be a text; found [secret]."],
  [
    "callers: [{ name: a, keys: [!env KEY] }]",
    "must be YAML; found a problem at line 1, column 29: a tag that is not known (variables are written ${env:NAME}).",
  ],
  ["a: [", "must be YAML; found a problem at line 1"],
  ["- a", "the document must be a group of keys; found a list."],
])("a wrong file (%s) is reported by its key", (yaml, sentence) => {
  expect(problemsOf({}, yaml).join("\n")).toContain(sentence);
});

test("a setting of several types is reported in one sentence", () => {
  expect(problemsOf({}, "sandbox: off")).toEqual([
    'jackfield.yaml: sandbox must be one of true, false, auto; found "off".',
  ]);
});

test("all problems are reported at once", () => {
  expect(problemsOf({ PORT: "x", LOG_LEVEL: "y" }, "adaptors: {}\nlimits: { depth: 0 }")).toHaveLength(4);
});

test("uncertain calls and dead jobs are kept for seven windows, or as configured", () => {
  expect(load({}, "ledger: { windowHours: 2 }")).toMatchObject({
    ledger: { uncertainHours: 14 },
    jobs: { deadHours: 14 },
  });
  const set = load({}, "{ ledger: { uncertainHours: 720 }, jobs: { deadHours: 48 } }");
  expect(set).toMatchObject({ ledger: { windowHours: 24, uncertainHours: 720 }, jobs: { deadHours: 48 } });
  expect(problemsOf({}, "ledger: { uncertainHours: 12 }")).toEqual([
    "ledger.uncertainHours must be at least ledger.windowHours (24); found 12.",
  ]);
});

test("listening beyond loopback with open entry points is refused with the variables to set, unless the file allows it", () => {
  expect(problemsOf({ HOST: "0.0.0.0" }).map((problem) => problem.split(" ")[0])).toEqual([
    "GENESYS_WEBHOOK_KEY",
    "COGNIGY_API_KEY",
    "JACKFIELD_API_KEYS",
  ]);
  expect(problemsOf({ HOST: "::" })).toHaveLength(3);
  for (const HOST of ["127.0.0.2", "localhost", "::1", "[::1]", "::ffff:127.0.0.1"])
    expect(problemsOf({ HOST })).toEqual([]);
  expect(
    problemsOf({ HOST: "0.0.0.0", GENESYS_WEBHOOK_KEY: "g", COGNIGY_API_KEY: "c", JACKFIELD_API_KEYS: "a:b" }),
  ).toEqual([]);
  const allowed =
    "rpc: { allowUnauthenticated: true }\nadapters: { genesys: { enabled: false }, cognigy: { allowUnauthenticated: true } }\n";
  expect(load({ HOST: "0.0.0.0" }, allowed).warnings).toHaveLength(2);
  const closed = allowed.replace("} }", "}, mcp: { allowUnauthenticated: false } }");
  expect(problemsOf({ HOST: "0.0.0.0" }, closed)).toEqual([
    'JACKFIELD_API_KEYS must be set if HOST is not a loopback address; found it not set and HOST "0.0.0.0" (the MCP door would be open; adapters.mcp.allowUnauthenticated: true in the file allows it).',
  ]);
});

test("a misspelt variable of ours causes a warning with the right name", () => {
  expect(load({ JACKFIELD_ALOWED_HOSTS: "x" }).warnings).toContain(
    "JACKFIELD_ALOWED_HOSTS is not a variable that Jackfield reads; did you mean JACKFIELD_ALLOWED_HOSTS?",
  );
});

test("any text in a variable or file yields a configuration or a ConfigError", () => {
  const names = [
    "PORT",
    "HOST",
    "JACKFIELD_API_KEYS",
    "COGNIGY_API_KEY",
    "REDIS_URL",
    "OTEL_RESOURCE_ATTRIBUTES",
    "JACKFIELD_ALLOWED_HOSTS",
  ];
  const cwd = folder();
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), fc.string()), fc.string(), (env, yaml) => {
      writeFileSync(join(cwd, "jackfield.yaml"), yaml);
      try {
        loadConfig({ env, cwd });
      } catch (reason) {
        expect(reason).toBeInstanceOf(ConfigError);
      }
    }),
  );
});

test("the shipped JSON Schema is the one that validates the file", () => {
  const shipped: unknown = JSON.parse(readFileSync(new URL("../../config.schema.json", import.meta.url), "utf8"));
  expect(shipped, "run `node scripts/config-schema.ts`").toEqual(
    JSON.parse(JSON.stringify(configFileSchema(platforms))),
  );
});
