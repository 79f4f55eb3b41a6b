import { toJson } from "@bufbuild/protobuf";
import { Effect, type Tool, ToolSchema } from "../client.ts";
import { CliError } from "./exit.ts";
import { listAllTools } from "./list-all-tools.ts";
import { columns, oneLine, printable } from "./printable.ts";
import type { AddCommand, Session } from "./session.ts";

/** `jackfield tools`: lists the available tools. */
export const addTools: AddCommand = (program, open) => {
  program
    .command("tools")
    .description("List the tools that you may use, or show one with its schema.")
    .argument("[NAME]", "the tool to show")
    .addHelpText(
      "after",
      `
Examples:
  jackfield tools                          one line for each tool
  jackfield tools get_weather              what it takes
  jackfield tools --json | jq '.[].name'
`,
    )
    .action(async (name: string | undefined, _options, command) => {
      const session = open(command);
      const tools = await listAllTools(session);
      if (name === undefined) return list(session, tools);
      const tool = tools.find((candidate) => candidate.name === name);
      if (tool === undefined)
        throw new CliError(`There is no tool ${oneLine(name, 80)}. \`jackfield tools\` lists them.`);
      if (session.json) return session.printJson(ToolSchema, tool);
      session.print(`${tool.name}  ${effectOf(tool)}  ${tool.version}\n${tool.description}\n`);
      session.print(JSON.stringify(tool.inputSchema ?? {}, null, 2));
    });
};

function list(session: Session, tools: readonly Tool[]): void {
  if (session.json) return session.print(JSON.stringify(tools.map((tool) => toJson(ToolSchema, tool))));
  if (tools.length === 0) return session.note("No tool is available to you.");
  const rows = tools.map((tool) => [printable(tool.name), effectOf(tool), oneLine(tool.description, 80)]);
  session.host.stdout.write(columns(rows));
}

function effectOf({ effect }: Tool): string {
  return effect === Effect.READ ? "read" : effect === Effect.IDEMPOTENT ? "idempotent" : "write";
}
