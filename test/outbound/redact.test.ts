import * as fc from "fast-check";
import { expect, test } from "vitest";
import { excerpt, redact } from "../../src/outbound/redact.ts";

test("text that looks secret is removed (hazard 42)", () => {
  const shown: [string, string][] = [
    ["Authorization: Bearer abc.def-123", "Authorization: [redacted] [redacted]"],
    ['{"api_key":"k-123","id":7}', '{"api_key":[redacted],"id":7}'],
    ['{"clientSecret": "s3cr3t", "x": 1}', '{"clientSecret": [redacted], "x": 1}'],
    ["password=hunter2&user=a", "password=[redacted]&user=a"],
    ["token eyJhbGciOi.eyJzdWIi.c2ln here", "token [redacted] here"],
    ["key sk-abcdefghijklmnop", "key [redacted]"],
    ["AKIAIOSFODNN7EXAMPLE", "[redacted]"],
    ["connect postgres://user:pw@db.example.com/x failed", "connect postgres://[redacted]@db.example.com/x failed"],
    [
      "see http://10.0.0.5:8080/a and http://erp/x, http://svc.ns.svc/y",
      "see [internal URL] and [internal URL] [internal URL]",
    ],
    ["see https://example.com/help", "see https://example.com/help"],
    ["-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "[redacted]"],
    ["Error: x\n    at run (/srv/app/a.js:1:2)\n    at /srv/b.js:3:4", "Error: x"],
    ["order not found", "order not found"],
  ];
  for (const [text, clean] of shown) expect(redact(text).trim(), text).toBe(clean);
});

test("a known secret is removed wherever it occurs", () => {
  fc.assert(
    fc.property(fc.string(), fc.stringMatching(/^[A-Za-z0-9]{8,40}$/), fc.string(), (before, secret, after) => {
      fc.pre(!"[redacted]".includes(secret) && !"[internal URL]".includes(secret));
      return !redact(`${before} ${secret} ${after}`, [secret]).includes(secret);
    }),
  );
});

test("a URL of a host that is not public is removed in every notation, one of a public host stays", () => {
  const internal = [
    "http://[::1]:80/a",
    "https://127.0.0.1./a",
    "redis://cache/0",
    "ws://erp.local",
    "http://erp.intranet./x",
    "http://999.999.999.999.999/",
    "http://[broken",
    "amqp://[fd00::1]/q",
  ];
  for (const url of internal) expect(redact(`see ${url} there`), url).toBe("see [internal URL] there");
  for (const url of ["http://[2606:4700::1111]/a", "https://8.8.8.8/", "wss://localhost.example.com./x"]) {
    expect(redact(`see ${url} there`), url).toBe(`see ${url} there`);
  }
});

test("a secret of fewer than four characters is not removed, because it occurs in too many words", () => {
  expect(redact("abc abcd", ["abc"])).toBe("abc abcd");
  expect(redact("abc abcd", ["abcd"])).toBe("abc [redacted]");
});

test("an excerpt covers the first 4096 characters, without secrets and surrounding space", () => {
  expect(excerpt(`  ${"a".repeat(200)}  `)).toBe("a".repeat(200));
  expect(excerpt(`${" ".repeat(4090)}abcdefgh`)).toBe("abcdef");
  expect(excerpt("Bearer abcdefgh, winter", ["winter"], (text) => text.replace("Bearer", "A"))).toBe(
    "A [redacted], [redacted]",
  );
});

test("an excerpt has at most 200 complete code points", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 1000 }), (text) => {
      const short = excerpt(text.repeat(3));
      return Array.from(short).length <= 200 && short.isWellFormed();
    }),
  );
});

// Quadratic time would take hours.
test("a hostile body is shortened in linear time", () => {
  const bodies = [
    "token".repeat(1e5),
    "a-".repeat(5e5),
    `"${"secret=".repeat(1e5)}`,
    " at (".repeat(2e5),
    "http://".repeat(2e5),
    "-----BEGIN A PRIVATE KEY-----".repeat(4e4),
    "\n at x".repeat(2e5),
  ];
  for (const body of bodies) expect(excerpt(body).length).toBeLessThan(1000);
  for (const blank of [" ", "\n", "\t"]) expect(redact(blank.repeat(1e6)).trim()).toBe("");
});
