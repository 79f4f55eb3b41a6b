import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Option } from "commander";
import { httpNodes, mcpNodes } from "../adapters/cognigy/export.ts";
import { dataActionFromTool } from "../adapters/genesys/export/data-action.ts";
import { terraformFromDataAction } from "../adapters/genesys/export/terraform.ts";
import { matchesPattern } from "../auth/caller.ts";
import type { Tool } from "../client.ts";
import { CliError, exit } from "./exit.ts";
import { listAllTools } from "./list-all-tools.ts";
import type { AddCommand, Session } from "./session.ts";

/** One exported file. */
interface ExportedFile {
  readonly file: string;
  readonly text: string;
}

/** `jackfield export`: writes the tools as files that a platform imports. */
export const addExport: AddCommand = (program, open) => {
  const command = program
    .command("export")
    .description("Write the tools in the form that a platform imports.")
    .addHelpText(
      "after",
      `
The tools are those of the configuration in this folder; with --url those of a running service.

Examples:
  jackfield export genesys --base-url https://tools.example.com --out actions
  jackfield export cognigy --base-url https://tools.example.com --mode mcp
`,
    );
  command
    .command("genesys")
    .description("Data actions of Genesys Cloud (Web Services), one per tool.")
    .requiredOption("--base-url <URL>", "public address of the service, as Genesys reaches it", baseUrl)
    .option("--tools <GLOB>", "only tools of this name, such as get_*; may be repeated", collected, [])
    .option("--out <DIR>", "write NAME.json (or NAME.tf) into this folder instead of stdout")
    .option("--conversation", "add the optional input jackfieldConversationId")
    .option("--strict", "exit 1 when anything is left out, skipped or noted")
    .addOption(new Option("--format <FORMAT>", "file format").choices(["json", "terraform"]).default("json"))
    .addHelpText(
      "after",
      `
Anything that an action cannot express is reported on stderr, one sentence each.

Examples:
  jackfield export genesys --base-url https://tools.example.com --tools 'get_*' --out actions
  jackfield export genesys --base-url https://tools.example.com --format terraform > actions.tf
`,
    )
    .action(async (options: GenesysOptions, own) => exportGenesys(open(own), options));
  command
    .command("cognigy")
    .description("Flow nodes of Cognigy.AI, in the format of its API.")
    .requiredOption("--base-url <URL>", "public address of the service, as Cognigy reaches it", baseUrl)
    .option("--tools <GLOB>", "only tools of this name (mode http); may be repeated", collected, [])
    .option("--out <DIR>", "write one file per tool (mode http) or jackfield.json (mode mcp) into this folder")
    .addOption(new Option("--mode <MODE>", "which entry point to use").choices(["mcp", "http"]).default("mcp"))
    .addHelpText(
      "after",
      `
Examples:
  jackfield export cognigy --base-url https://tools.example.com
  jackfield export cognigy --base-url https://tools.example.com --mode http --out nodes
`,
    )
    .action(async (options: CognigyOptions, own) => exportCognigy(open(own), options));
};

interface GenesysOptions {
  readonly baseUrl: string;
  readonly tools: readonly string[];
  readonly out?: string;
  readonly conversation?: boolean;
  readonly strict?: boolean;
  readonly format: "json" | "terraform";
}

interface CognigyOptions {
  readonly baseUrl: string;
  readonly tools: readonly string[];
  readonly out?: string;
  readonly mode: "mcp" | "http";
}

async function exportGenesys(session: Session, options: GenesysOptions): Promise<void> {
  const { baseUrl: url, conversation = false, strict = false, format } = options;
  const exports = (await selected(session, options.tools)).map((tool) =>
    dataActionFromTool(tool, { baseUrl: url, conversation }),
  );
  let remarks = 0;
  for (const { tool, notes, skipped } of exports) {
    for (const note of notes) session.note(`${tool}: ${note}.`);
    if (skipped !== undefined) session.note(`${tool}: ${skipped}: the tool is skipped.`);
    remarks += notes.length + Number(skipped !== undefined);
  }
  const actions = exports.flatMap(({ action }) => action ?? []);
  const files = actions.map((action): ExportedFile => {
    return format === "terraform"
      ? { file: `${action.name}.tf`, text: terraformFromDataAction(action) }
      : { file: `${action.name}.json`, text: json(action) };
  });
  if (options.out !== undefined) write(session, options.out, files);
  else if (format === "terraform") session.host.stdout.write(files.map(({ text }) => text).join("\n"));
  else session.host.stdout.write(json(actions.length === 1 ? actions[0] : actions));
  if (strict && remarks > 0) session.finish(exit.wrongUse);
}

async function exportCognigy(session: Session, { baseUrl: url, tools, out, mode }: CognigyOptions): Promise<void> {
  const bundles =
    mode === "mcp"
      ? [{ name: "jackfield", nodes: mcpNodes(url) }]
      : (await selected(session, tools)).map((tool) => ({ name: tool.name, nodes: httpNodes(tool, url) }));
  session.note(
    "Create the nodes in this order with POST /v2.0/flows/{flowId}/chart/nodes; insert the id of the AI Agent's job node, then the id that Cognigy gave the tool node.",
  );
  if (out !== undefined) {
    write(
      session,
      out,
      bundles.map(({ name, nodes }) => ({ file: `${name}.json`, text: json(nodes) })),
    );
  } else {
    session.host.stdout.write(json(bundles.flatMap(({ nodes }) => nodes)));
  }
}

/** Returns the tools whose names match one of the patterns; all tools without a pattern. */
async function selected(session: Session, patterns: readonly string[]): Promise<Tool[]> {
  const tools = session.hasUrl ? await listAllTools(session) : [...(await session.host.tools())];
  const found = tools.filter(({ name }) => patterns.length === 0 || patterns.some((one) => matchesPattern(one, name)));
  if (found.length === 0) {
    throw new CliError(
      tools.length === 0
        ? "There is no tool to export: configure plugins, or name a running service with --url."
        : `No tool matches ${patterns.join(" or ")}. \`jackfield tools\` lists them.`,
    );
  }
  return found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function write(session: Session, folder: string, files: readonly ExportedFile[]): void {
  const target = resolve(session.host.cwd, folder);
  mkdirSync(target, { recursive: true });
  for (const { file, text } of files) writeFileSync(join(target, file), text);
  session.note(`${files.length} file${files.length === 1 ? "" : "s"} written to ${folder}.`);
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function collected(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

function baseUrl(value: string): string {
  const url = URL.parse(value);
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "") {
    throw new CliError(
      `--base-url must be an http or https address without query, such as https://tools.example.com; found ${JSON.stringify(value)}.`,
    );
  }
  return value;
}
