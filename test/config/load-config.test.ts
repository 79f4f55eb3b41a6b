import { hash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import * as fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import { describeConfig, secretTexts } from "../../src/config/describe-config.ts";
import { encryptionSecret } from "../../src/config/encryption.ts";
import { configFileSchema } from "../../src/config/schema.ts";
import { platforms } from "../../src/adapters/platforms.ts";
import type { CognigySettings } from "../../src/adapters/cognigy/settings.ts";
import type { GenesysSettings } from "../../src/adapters/genesys/settings.ts";
import { loadConfig } from "../../src/app/load-config.ts";
import { prepare } from "../../src/app/prepare.ts";
import { withSandbox } from "../../src/app/sandbox-parts.ts";
import type { Config } from "../../src/config/config.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((path) => rmSync(path, { recursive: true })));

function folder(files: Record<string, string> = {}): string {
  const path = mkdtempSync(join(tmpdir(), "jackfield-config-"));
  folders.push(path);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

const load = (env: Record<string, string> = {}, yaml?: string) =>
  loadConfig({ env, cwd: folder(yaml === undefined ? {} : { "jackfield.yaml": yaml }) });

function faults(env: Record<string, string>, yaml?: string): readonly string[] {
  try {
    load(env, yaml);
  } catch (reason) {
    if (reason instanceof ConfigError) return reason.problems;
    throw reason;
  }
  return [];
}

const cognigyOf = ({ adapters }: Config) => adapters["cognigy"]?.settings as unknown as CognigySettings;
const genesysOf = ({ adapters }: Config) => adapters["genesys"]?.settings as unknown as GenesysSettings;

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

async function parts(env: Record<string, string>, yaml?: string): Promise<string[]> {
  return [...(await prepare(load(env, yaml))).sandboxParts].sort();
}

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
])("a wrong variable %o is reported in one sentence that names it and reveals no secret", (env, sentence) => {
  const found = faults(env);
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
  ["a: [", "must be YAML; found a problem at line 1"],
  ["- a", "the document must be a group of keys; found a list."],
])("a wrong file (%s) is reported by its key", (yaml, sentence) => {
  expect(faults({}, yaml).join("\n")).toContain(sentence);
});

test("all problems are reported at once", () => {
  expect(faults({ PORT: "x", LOG_LEVEL: "y" }, "adaptors: {}\nlimits: { depth: 0 }")).toHaveLength(4);
});

test("uncertain calls and dead jobs are kept for seven windows, or as configured", () => {
  expect(load({}, "ledger: { windowHours: 2 }")).toMatchObject({
    ledger: { uncertainHours: 14 },
    jobs: { deadHours: 14 },
  });
  const set = load({}, "{ ledger: { uncertainHours: 720 }, jobs: { deadHours: 48 } }");
  expect(set).toMatchObject({ ledger: { windowHours: 24, uncertainHours: 720 }, jobs: { deadHours: 48 } });
  expect(faults({}, "ledger: { uncertainHours: 12 }")).toEqual([
    "ledger.uncertainHours must be at least ledger.windowHours (24); found 12.",
  ]);
});

test("encryption keys are accepted in base64 or hex, and shown nowhere", () => {
  const [one, two] = [randomBytes(32).toString("base64"), randomBytes(32).toString("hex")];
  const config = load(
    { OLD: two },
    `encryption: { keys: [{ id: a, secret: "${one}" }, { id: b, secret: "\${env:OLD}" }] }`,
  );
  expect(config.encryption.keys.map(({ id, secret }) => [id, encryptionSecret(secret).length])).toEqual([
    ["a", 32],
    ["b", 32],
  ]);
  expect(encryptionSecret(config.encryption.keys[1]!.secret).toString("hex")).toBe(two);
  const printed = JSON.stringify(describeConfig(config)) + inspect(config, { depth: 20 });
  for (const secret of [one, two]) {
    expect(printed).not.toContain(secret);
    expect(secretTexts(config)).toContain(secret);
  }
  expect(load().encryption.keys).toEqual([]);
});

const encryptionSample = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
test.each([
  [
    "[{ id: a, secret: BwcHBw== }]",
    "encryption.keys[0].secret must be 32 random bytes in base64 or hex; found 4 bytes.",
  ],
  ["[{ id: a, secret: hunter2! }]", "found a text that is neither. Make one with `openssl rand -base64 32`."],
  [`[{ id: a.b, secret: ${encryptionSample} }]`, "encryption.keys[0].id must have 1 to 32 letters, digits, - and _"],
  [
    `[{ id: a, secret: ${encryptionSample} }, { id: a, secret: "${"07".repeat(31)}08" }]`,
    "encryption.keys[1].id must be unique",
  ],
  [
    `[{ id: a, secret: ${encryptionSample} }, { id: b, secret: "${"07".repeat(32)}" }]`,
    "encryption.keys[1].secret must differ",
  ],
  ["[]", "encryption.keys must be a list of at least 1"],
])("unusable encryption keys (%s) are reported without the secret", (keys, sentence) => {
  const found = faults({}, `encryption: { keys: ${keys} }`);
  expect(found).toEqual([expect.stringContaining(sentence)]);
  expect(found[0]).not.toMatch(/hunter2|BwcH|0707/);
});

test("listening beyond loopback with open entry points is refused with the variables to set, unless the file allows it", () => {
  expect(faults({ HOST: "0.0.0.0" }).map((fault) => fault.split(" ")[0])).toEqual([
    "GENESYS_WEBHOOK_KEY",
    "COGNIGY_API_KEY",
    "JACKFIELD_API_KEYS",
  ]);
  expect(faults({ HOST: "::" })).toHaveLength(3);
  for (const HOST of ["127.0.0.2", "localhost", "::1", "[::1]", "::ffff:127.0.0.1"])
    expect(faults({ HOST })).toEqual([]);
  expect(
    faults({ HOST: "0.0.0.0", GENESYS_WEBHOOK_KEY: "g", COGNIGY_API_KEY: "c", JACKFIELD_API_KEYS: "a:b" }),
  ).toEqual([]);
  const allowed =
    "rpc: { allowUnauthenticated: true }\nadapters: { genesys: { enabled: false }, cognigy: { allowUnauthenticated: true } }\n";
  expect(load({ HOST: "0.0.0.0" }, allowed).warnings).toHaveLength(2);
  const closed = allowed.replace("} }", "}, mcp: { allowUnauthenticated: false } }");
  expect(faults({ HOST: "0.0.0.0" }, closed)).toEqual([
    'JACKFIELD_API_KEYS must be set if HOST is not a loopback address; found it not set and HOST "0.0.0.0" (the MCP door would be open; adapters.mcp.allowUnauthenticated: true in the file allows it).',
  ]);
});

test("secrets can be read from files, without the trailing line break", () => {
  const cwd = folder({ key: "from-a-file\n", "jackfield.yaml": 'callers: [{ name: a, keys: ["${file:key}"] }]\n' });
  const config = loadConfig({ env: { COGNIGY_API_KEY_FILE: "key" }, cwd });
  expect(cognigyOf(config).keys[0]?.key.reveal()).toBe("from-a-file");
  expect(config.callers[0]?.keys[0]?.reveal()).toBe("from-a-file");
});

test("several Cognigy keys keep their names, a single one is called cognigy", () => {
  expect(cognigyOf(load({ COGNIGY_API_KEY: "a:k1,b:k2" })).keys.map(({ name }) => name)).toEqual(["a", "b"]);
  expect(cognigyOf(load({ COGNIGY_API_KEY: "k" })).keys.map(({ name }) => name)).toEqual(["cognigy"]);
});

test("keys may be given as hashes, in variables and in the file", () => {
  const hashes = ["a", "b", "c", "d"].map((key) => `sha256:${hash("sha256", key, "hex")}`);
  const [a, b, c, d] = hashes;
  const env = { JACKFIELD_API_KEYS: `one:${a},two:${b}:tools:read+jobs:read`, COGNIGY_API_KEY: c ?? "" };
  const config = load(env, `callers: [{ name: three, keys: ["${d}", plain] }]`);
  expect(config.callers.map(({ caller, keys }) => [caller.name, keys.map((key) => key.reveal())])).toEqual([
    ["one", [a]],
    ["two", [b]],
    ["three", [d, "plain"]],
  ]);
  expect([...(config.callers[1]?.caller.scopes ?? [])]).toEqual(["tools:read", "jobs:read"]);
  expect(cognigyOf(config).keys.map(({ name, key }) => [name, key.reveal()])).toEqual([["cognigy", c]]);
  const named = cognigyOf(load({ COGNIGY_API_KEY: `x:${a},y:plain` })).keys;
  expect(named.map(({ name, key }) => [name, key.reveal()])).toEqual([
    ["x", a],
    ["y", "plain"],
  ]);
});

test.each<[Record<string, string>, string?]>([
  [{ JACKFIELD_API_KEYS: "one:sha256:abc" }],
  [{ COGNIGY_API_KEY: "one:sha256:abc" }],
  [{ GENESYS_WEBHOOK_KEY: "sha256:abc" }],
  [{}, "callers: [{ name: one, keys: ['sha256:abc'] }]"],
])("a malformed hash %j %s is refused, because it would be taken for a key", (env, yaml) => {
  expect(faults(env, yaml)).toEqual([expect.stringContaining("or as sha256: and 64 hex digits")]);
});

test("a key and its own hash are duplicates", () => {
  const hashed = `sha256:${hash("sha256", "k", "hex")}`;
  expect(faults({}, `callers: [{ name: one, keys: [k, "${hashed}"] }]`)).toHaveLength(1);
  expect(faults({ JACKFIELD_API_KEYS: "one:k" }, `callers: [{ name: two, keys: ["${hashed}"] }]`)).toHaveLength(1);
  expect(faults({ COGNIGY_API_KEY: `a:k,b:${hashed}` })).toHaveLength(1);
});

test("no printout of the configuration shows a planted secret", async () => {
  const secret = "planted-secret-7";
  const loaded = load(
    {
      EXTERNAL_API_KEY: secret,
      GENESYS_CLIENT_ID: "id",
      GENESYS_CLIENT_SECRET: secret,
      GENESYS_WEBHOOK_KEY: secret,
      COGNIGY_API_KEY: secret,
      JACKFIELD_API_KEYS: `a:${secret}`,
      REDIS_URL: `redis://:${secret}@h`,
      DATABASE_URL: `postgres://u:${secret}@h/d`,
      ANY: secret,
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://o",
      OTEL_EXPORTER_OTLP_HEADERS: `authorization=${secret}`,
    },
    'plugins: [{ use: "@jackfield/get-order-status" }, { use: "@jackfield/search-inventory" }, { use: "@jackfield/get-weather", config: { a: { b: ["${env:ANY}"] }, dbPassword: planted-secret-7 } }]\n',
  );
  const { config } = await prepare(loaded);
  const printed = JSON.stringify(describeConfig(config)) + inspect(describeConfig(config), { depth: 20 });
  expect(printed).not.toContain(secret);
  expect(secretTexts(config)).toContain(secret);
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
