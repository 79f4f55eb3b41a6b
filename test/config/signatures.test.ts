import { mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadConfig } from "../../src/app/load-config.ts";
import { ConfigError } from "../../src/config/config-error.ts";
import { describeConfig, secretTexts } from "../../src/config/describe-config.ts";
import type { Config } from "../../src/config/config.ts";

const whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

function load(file: object, env: Record<string, string> = {}): Config {
  using folder = mkdtempDisposableSync(join(tmpdir(), "jackfield-config-"));
  writeFileSync(join(folder.path, "jackfield.yaml"), JSON.stringify(file));
  return loadConfig({ env, cwd: folder.path });
}

function faults(file: object, env: Record<string, string> = {}): readonly string[] {
  try {
    load(file, env);
  } catch (reason) {
    if (reason instanceof ConfigError) return reason.problems;
    throw reason;
  }
  return [];
}

const standard = (...secrets: string[]) => ({ scheme: "standard-webhooks", secrets });
const hub = (...secrets: string[]) => ({ scheme: "hub", secrets });

describe("signatures of callers and adapters", () => {
  test("are read with their window, and their secrets are shown nowhere", () => {
    const config = load(
      {
        callers: [
          { name: "a", signature: standard(whsec) },
          { name: "b", keys: ["key-b"], signature: { ...standard("${env:B_SECRET}"), replayWindowS: 60 } },
        ],
        adapters: { genesys: { signature: hub("genesys-secret") } },
      },
      { B_SECRET: "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB" },
    );
    expect(config.callers.map(({ keys, signature }) => [keys.length, signature?.replayWindowS])).toEqual([
      [0, 300],
      [1, 60],
    ]);
    const secrets = [whsec, "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB", "genesys-secret"];
    expect(secretTexts(config)).toEqual(expect.arrayContaining(secrets));
    for (const secret of secrets) expect(JSON.stringify(describeConfig(config))).not.toContain(secret);
  });

  test("protect an adapter and the RPC beyond loopback", () => {
    const file = {
      host: "0.0.0.0",
      callers: [{ name: "a", signature: hub("a") }],
      adapters: { genesys: { signature: hub("g") }, cognigy: { signature: hub("c") } },
    };
    expect(faults(file)).toEqual([]);
    expect(faults({ ...file, adapters: { genesys: { signature: hub("g") } } })).toEqual([
      expect.stringContaining("COGNIGY_API_KEY must be set"),
    ]);
  });

  test.each<[what: string, file: object, fault: RegExp]>([
    ["neither keys nor a signature", { callers: [{ name: "a" }] }, /callers\[0\] must have keys, a signature, or both/],
    [
      "a secret that is no base64",
      { callers: [{ name: "a", signature: standard("whsec_!") }] },
      /secrets\[0\] must be whsec_ and base64/,
    ],
    [
      "a secret of few bytes",
      { callers: [{ name: "a", signature: standard("whsec_QUFB") }] },
      /at least 16 bytes.*found 3/,
    ],
    ["the same secret twice", { callers: [{ name: "a", signature: hub("x", "x") }] }, /must differ from each other/],
    [
      "a window without a time",
      { callers: [{ name: "a", signature: { ...hub("x"), replayWindowS: 5 } }] },
      /replayWindowS must be left out with scheme hub/,
    ],
    ["an unknown scheme", { callers: [{ name: "a", signature: { ...hub("x"), scheme: "v0" } }] }, /scheme must be/],
    ["no secret", { callers: [{ name: "a", signature: hub() }] }, /secrets/],
    [
      "one secret for two callers",
      { callers: ["a", "b"].map((name) => ({ name, signature: hub("x") })) },
      /different secrets; found one of "a" at "b"/,
    ],
    [
      "more callers without a key than can be tried at each request",
      { callers: Array.from({ length: 17 }, (_, index) => ({ name: `c${index}`, signature: hub(`secret-${index}`) })) },
      /at most 16 secrets together.*found 17/,
    ],
    [
      "an adapter's secret that is no base64",
      { adapters: { cognigy: { signature: standard("äöü") } } },
      /adapters\.cognigy\.signature\.secrets\[0\] must be whsec_/,
    ],
  ])("%s is a problem whose message says what to do", (_what, file, fault) => {
    expect(faults(file)).toEqual([expect.stringMatching(fault)]);
  });
});

describe("a caller's name", () => {
  test.each(["local", "genesys", "cognigy"])("%s is refused as a source of the service itself", (name) => {
    const fault = expect.stringMatching(
      new RegExp(`not one of the service's own sources .*found "${name}": choose another`),
    ) as string;
    expect(faults({ callers: [{ name, keys: ["k"] }] })).toEqual([fault]);
    expect(faults({}, { JACKFIELD_API_KEYS: `${name}:secret-key` })).toEqual([fault]);
  });

  test.each(["mcp", "http", "genesys2", "Genesys"])("%s is accepted", (name) => {
    expect(faults({ callers: [{ name, keys: ["k"] }] })).toEqual([]);
  });
});
