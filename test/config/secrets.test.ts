import { hash, randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { expect, test } from "vitest";
import { describeConfig, secretTexts } from "../../src/config/describe-config.ts";
import { encryptionSecret } from "../../src/config/encryption.ts";
import type { CognigySettings } from "../../src/adapters/cognigy/settings.ts";
import { loadConfig } from "../../src/app/load-config.ts";
import { prepare } from "../../src/app/prepare.ts";
import type { Config } from "../../src/config/config.ts";
import { folder, load, problemsOf } from "./loading.ts";

const cognigyOf = ({ adapters }: Config) => adapters["cognigy"]?.settings as unknown as CognigySettings;

const encryptionSample = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

test("a URL of a variable is hidden if its query may be a credential, and shown if it has none", async () => {
  const plugin = (url: string) =>
    load({ URL: url }, 'plugins: [{ use: "@jackfield/get-weather", config: { baseUrl: "${env:URL}" } }]\n');
  expect(secretTexts(plugin("https://erp.example.com/?sig=verysecret"))).toEqual([
    "https://erp.example.com/?sig=verysecret",
  ]);
  expect(secretTexts(plugin("https://erp.example.com/api"))).toEqual([]);
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
  const found = problemsOf({}, `encryption: { keys: ${keys} }`);
  expect(found).toEqual([expect.stringContaining(sentence)]);
  expect(found[0]).not.toMatch(/hunter2|BwcH|0707/);
});

test("secrets can be read from files, without the trailing line break", () => {
  const cwd = folder({ key: "from-a-file\n", "jackfield.yaml": 'callers: [{ name: a, keys: ["${file:key}"] }]\n' });
  const config = loadConfig({ env: { COGNIGY_API_KEY_FILE: "key" }, cwd });
  expect(cognigyOf(config).keys[0]?.key.reveal()).toBe("from-a-file");
  expect(config.callers[0]?.keys[0]?.reveal()).toBe("from-a-file");
});

test.each(["", "\n"])("a file without a secret (%j) is refused", (text) => {
  const cwd = folder({ key: text, "jackfield.yaml": 'callers: [{ name: a, keys: ["x${file:key}"] }]\n' });
  expect(() => loadConfig({ env: {}, cwd })).toThrow(
    'jackfield.yaml: callers[0].keys[0] needs the file "key"; found that it is empty.',
  );
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
  expect(problemsOf(env, yaml)).toEqual([expect.stringContaining("or as sha256: and 64 hex digits")]);
});

test.each<[Record<string, string>, string?]>([
  [{ JACKFIELD_API_KEYS: "one:hunter2€" }],
  [{ COGNIGY_API_KEY: "hunter2ü" }],
  [{ COGNIGY_API_KEY: "one:hunter2\tx" }],
  [{ GENESYS_WEBHOOK_KEY: "hunter2\nx" }],
  [{}, "callers: [{ name: one, keys: [hunter2é] }]"],
  [{}, "callers: [{ name: one, keys: [' hunter2'] }]"],
])("a key that HTTP clients send in different ways %j %s is refused", (env, yaml) => {
  const found = problemsOf(env, yaml);
  expect(found).toEqual([expect.stringContaining("keys of printable ASCII characters")]);
  expect(found[0]).not.toContain("hunter2");
});

test("spaces around the parts of an entry do not belong to its key", () => {
  const config = load({ JACKFIELD_API_KEYS: "crm: k1 , bot : k2 : tools:read", COGNIGY_API_KEY: "a: k1, b :k2" });
  expect(config.callers.map(({ caller, keys }) => [caller.name, keys[0]?.reveal()])).toEqual([
    ["crm", "k1"],
    ["bot", "k2"],
  ]);
  expect(cognigyOf(config).keys.map(({ name, key }) => [name, key.reveal()])).toEqual([
    ["a", "k1"],
    ["b", "k2"],
  ]);
});

test.each(["JACKFIELD_API_KEYS", "COGNIGY_API_KEY", "GENESYS_WEBHOOK_KEY"])("%s of only spaces is refused", (name) => {
  expect(problemsOf({ [name]: " " })).toEqual([`${name} must contain a key; found only spaces.`]);
});

test("a key and its own hash are duplicates", () => {
  const hashed = `sha256:${hash("sha256", "k", "hex")}`;
  expect(problemsOf({}, `callers: [{ name: one, keys: [k, "${hashed}"] }]`)).toHaveLength(1);
  expect(problemsOf({ JACKFIELD_API_KEYS: "one:k" }, `callers: [{ name: two, keys: ["${hashed}"] }]`)).toHaveLength(1);
  expect(problemsOf({ COGNIGY_API_KEY: `a:k,b:${hashed}` })).toHaveLength(1);
});

test.each([
  ["callers: [{ name: a, keys: [*hunter2] }]", "found an alias without its anchor at line 1, column 29."],
  ['callers: [{ name: a, keys: ["\\xhunter2"] }]', "found a problem at line 1, column 30: bad dq escape."],
  ["callers: [{ name: a, keys: [ok] hunter2 }]", "found a problem at line 1, column 33: "],
  ["callers: [{ name: a, keys: [ok] }\n  hunter2", "found a problem at line 2, column "],
  [`callers: [&a hunter2${", *a".repeat(101)}]`, "found aliases that cannot be resolved."],
])("a file that is not YAML (%s) is reported by line and column, without its text", (yaml, words) => {
  const found = problemsOf({}, yaml).join("\n");
  expect(found).toContain(`jackfield.yaml must be YAML; ${words}`);
  expect(found).not.toContain("hunter2");
});

test.each([
  ["bearer: 1234567890", "bearer must be a text; found [secret]."],
  ["header: { name: x-key, value: 1234567890 }", "header.value must be a text; found [secret]."],
  ["basic: { username: 1234567890, password: x }", "basic.username must be a text; found [secret]."],
])("a credential that is not text (%s) is reported without its value", (yaml, sentence) => {
  expect(problemsOf({}, `credentials: { erp: { ${yaml} } }`)).toEqual([`jackfield.yaml: credentials.erp.${sentence}`]);
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
