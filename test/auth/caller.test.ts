import { hash } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createAuthenticator as createAnyAuthenticator, localCaller } from "../../src/auth/authenticator.ts";
import { allowsTool, matchesPattern } from "../../src/auth/caller.ts";
import type { Caller } from "../../src/auth/caller.ts";
import { Secret } from "../../src/secret.ts";

/** Without tokens, whose verification takes time, the caller is known synchronously. */
const createAuthenticator = (callers: Parameters<typeof createAnyAuthenticator>[0]) => {
  const authenticate = createAnyAuthenticator(callers);
  return (header: string | undefined): Caller | undefined => {
    const found = authenticate(header);
    if (found instanceof Promise) throw new TypeError("a key was taken for a token");
    return found;
  };
};

const caller = (name: string, tools?: string[]): Caller => ({
  name,
  tenant: "default",
  scopes: new Set(["tools:execute"]),
  tools,
});

test("without keys every request is the caller local, with all scopes", () => {
  const authenticate = createAuthenticator([]);
  expect(authenticate(undefined)).toBe(localCaller);
  expect(authenticate("Bearer x")!.scopes.has("jobs:write")).toBe(true);
});

test("each key finds its caller, and no other text finds any", () => {
  const crm = caller("crm");
  const bot = caller("bot");
  const authenticate = createAuthenticator([
    { caller: crm, keys: [new Secret("old-key"), new Secret("new-key")] },
    { caller: bot, keys: [new Secret("bot-key")] },
  ]);
  expect(authenticate("Bearer old-key")).toBe(crm);
  expect(authenticate("bearer new-key")).toBe(crm);
  expect(authenticate("Bearer bot-key")).toBe(bot);
  for (const header of [
    undefined,
    "",
    "Bearer",
    "Bearer ",
    "Bearer old-ke",
    "Bearer old-key ",
    "Bearer  old-key",
    "Basic old-key",
    "old-key",
    "Bearer old-key, Bearer old-key",
  ]) {
    expect(authenticate(header)).toBeUndefined();
  }
});

test("a key followed by further bytes is a different key (hazard 21)", () => {
  const authenticate = createAuthenticator([
    { caller: caller("crm"), keys: [new Secret("root-key"), new Secret("longest-key"), new Secret("schlüssel")] },
  ]);
  expect(authenticate("Bearer schlüssel")?.name).toBe("crm");
  fc.assert(
    fc.property(
      fc.constantFrom("root-key", "longest-key", "schlüssel"),
      fc.string({ unit: "binary", minLength: 1, maxLength: 8 }),
      (key, tail) => {
        expect(authenticate(`Bearer ${key}${tail}`)).toBeUndefined();
      },
    ),
  );
  for (const tail of ["\u00e9", "\u00e9abc", "\ud800", "\0", "\0\0\0\0"]) {
    expect(authenticate(`Bearer longest-key${tail}`)).toBeUndefined();
  }
});

test("a key configured by its hash authenticates its caller, and the hash itself does not", () => {
  const hashed = `sha256:${hash("sha256", "bot-key", "hex")}`;
  const authenticate = createAuthenticator([
    { caller: caller("crm"), keys: [new Secret("crm-key")] },
    { caller: caller("bot"), keys: [new Secret(hashed), new Secret(`SHA256:${"AB".repeat(32)}`)] },
  ]);
  expect(authenticate("Bearer bot-key")?.name).toBe("bot");
  expect(authenticate("Bearer crm-key")?.name).toBe("crm");
  for (const given of [hashed, hashed.slice(7), "bot-key\u00e9", "bot-ke", ""])
    expect(authenticate(`Bearer ${given}`)).toBeUndefined();
});

test("tool patterns match like the equivalent regular expressions", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "_"), maxLength: 12 });
  const pattern = fc.string({ unit: fc.constantFrom("a", "b", "_", "*"), maxLength: 8 });
  fc.assert(
    fc.property(pattern, text, (glob, name) => {
      expect(matchesPattern(glob, name)).toBe(new RegExp(`^${glob.replaceAll("*", ".*")}$`).test(name));
    }),
  );
});

test("a caller with a list may use only the listed tools", () => {
  expect(allowsTool(caller("a"), "anything")).toBe(true);
  expect(allowsTool(caller("a", []), "get_weather")).toBe(false);
  expect(allowsTool(caller("a", ["get_*"]), "get_weather")).toBe(true);
  expect(allowsTool(caller("a", ["get_*"]), "update_ticket")).toBe(false);
});
