import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { modelError, modelErrors, rpcError, rpcErrors } from "../src/errors.ts";

const page = readFileSync(join(import.meta.dirname, "../docs/errors.md"), "utf8");

/** The other cells of the page's table rows, by id. */
const rows = new Map(
  [...page.matchAll(/^\| `([a-z-]+)` \| (.*) \|$/gm)].map(([, id = "", rest = ""]) => [
    id,
    rest.split(" | ").map((cell) => cell.replaceAll("\\`", "'").replace(/^`(.*)`$/, "$1")),
  ]),
);

function codeName(code: Code): string {
  const names = Object.entries(Code).find(([, number]) => number === code);
  return (names?.[0] ?? "").replace(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase();
}

describe("the catalogue of errors and docs/errors.md agree", () => {
  test("every error is described", () => {
    expect([...Object.keys(modelErrors), ...Object.keys(rpcErrors)].filter((id) => !rows.has(id))).toEqual([]);
  });

  test("every described error exists", () => {
    expect([...rows.keys()].filter((id) => !(id in modelErrors) && !(id in rpcErrors))).toEqual([]);
  });

  test.each(Object.entries(modelErrors))("%s has the same text as the page", (id, text) => {
    expect(rows.get(id)?.[1]).toBe(text);
  });

  test.each(Object.entries(rpcErrors))("%s has the same code and text as the page", (id, [code, text]) => {
    expect(rows.get(id)?.slice(0, 2)).toEqual([codeName(code), text.replaceAll("`", "'")]);
  });
});

test("details are inserted unchanged", () => {
  expect(modelError("unknown-tool", "$&")).toBe("Unknown tool: $&");
  expect(rpcError("job-not-found", "j-1").rawMessage).toBe("no job j-1 is known");
});
