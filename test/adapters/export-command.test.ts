import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { jackfield } from "../cli/command-line.ts";
import { tool, order } from "./listed-tools.ts";

const baseUrl = "https://tools.example.com/";

describe("jackfield export", () => {
  const host = {
    tools: async () => [
      order,
      tool({ name: "add_tag" }),
      tool({ name: "get_tags", input: { properties: { type: { type: "string" } }, required: ["type"] } }),
    ],
  };

  test("writes one importable file per tool, and reports skipped ones on stderr", async () => {
    const folder = mkdtempSync(join(tmpdir(), "jackfield-export-"));
    try {
      const { code, stderr } = await jackfield(
        ["export", "genesys", "--base-url", baseUrl, "--tools", "get_*", "--out", folder],
        host,
      );
      expect(code).toBe(0);
      expect(readdirSync(folder)).toEqual(["get_order.json"]);
      expect(JSON.parse(readFileSync(join(folder, "get_order.json"), "utf8"))).toMatchObject({ actionType: "custom" });
      expect(stderr).toContain(
        'get_tags: the required input "type" has a name that Genesys reserves: the tool is skipped.',
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("exits with 1 for a note with --strict, and with 0 without", async () => {
    const strict = ["export", "genesys", "--base-url", baseUrl, "--strict", "--tools"];
    expect((await jackfield([...strict, "get_order"], host)).code).toBe(1);
    expect((await jackfield([...strict, "add_tag"], host)).code).toBe(0);
  });

  test("prints Terraform and Cognigy's nodes", async () => {
    const terraform = await jackfield(["export", "genesys", "--base-url", baseUrl, "--format", "terraform"], host);
    expect(terraform.stdout.match(/^resource /gm)).toHaveLength(2);
    const nodes = await jackfield(
      ["export", "cognigy", "--base-url", baseUrl, "--mode", "http", "--tools", "add_*"],
      host,
    );
    expect((JSON.parse(nodes.stdout) as { type: string }[]).map(({ type }) => type)).toEqual([
      "aiAgentJobTool",
      "aiAgentToolAnswer",
      "httpRequest",
    ]);
  });

  test.each([
    [["export", "genesys"], "required option '--base-url <URL>' not specified"],
    [["export", "genesys", "--base-url", "ftp://x"], "--base-url must be an http or https address"],
    [["export", "genesys", "--base-url", baseUrl, "--tools", "none_*"], "No tool matches none_*"],
    [["export", "cognigy", "--base-url", baseUrl, "--mode", "fax"], "Allowed choices are mcp, http"],
  ])("reports wrong usage: %j", async (argv, why) => {
    const { code, stderr } = await jackfield(argv, host);
    expect({ code, why: stderr.includes(why) ? why : stderr }).toEqual({ code: 1, why });
  });
});
