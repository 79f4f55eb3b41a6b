import { existsSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { CliError } from "./exit.ts";
import type { AddCommand } from "./session.ts";
import { type NewTool, templates } from "./templates.ts";

/** `jackfield new-tool`: a plugin to begin with. */
export const addNewTool: AddCommand = (program, open) => {
  program
    .command("new-tool")
    .description("Write a new plugin whose test is green at once.")
    .argument("<NAME>", "name of the tool, such as get_store_hours")
    .addHelpText(
      "after",
      `
In a checkout of Jackfield the folder is plugins/NAME, elsewhere ./NAME. Nothing is overwritten.

Examples:
  jackfield new-tool get_store_hours
`,
    )
    .action(async (name: string, _options, command) => {
      const session = open(command);
      const { cwd, version } = session.host;
      const tool = newTool(name, cwd, version);
      const folder = join(cwd, tool.inCheckout ? "plugins" : "", tool.folder);
      const shown = relative(cwd, folder);
      await createFolder(folder, shown);
      for (const [file, text] of Object.entries(templates(tool)))
        await writeFile(join(folder, file), text, { flag: "wx" });
      if (session.json) return session.say(JSON.stringify({ name: tool.name, folder: shown }));
      session.say(`Wrote the tool ${tool.name} to ${shown}.\n\nNext:\n${nextSteps(tool, shown)}`);
    });
};

function newTool(given: string, cwd: string, version: string): NewTool {
  if (!/^[a-zA-Z][a-zA-Z0-9_-]{0,63}$/.test(given)) {
    throw new CliError(
      `A tool's name has letters, digits, _ and -, begins with a letter and has at most 64 characters; found ${JSON.stringify(given)}.`,
    );
  }
  const words = given
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .toLowerCase()
    .split(/[_-]+/)
    .filter(Boolean);
  return { name: words.join("_"), folder: words.join("-"), inCheckout: isCheckout(cwd), version };
}

async function createFolder(folder: string, shown: string): Promise<void> {
  if (existsSync(folder)) throw new CliError(`${shown} is there already: choose another name, or remove it first.`);
  try {
    await mkdir(folder, { recursive: true });
  } catch (reason) {
    const code = reason instanceof Error && "code" in reason ? String(reason.code) : "unknown";
    throw new CliError(`The folder ${shown} cannot be made (${code}).`);
  }
}

/** Tells whether a folder is the root of Jackfield's repository. */
function isCheckout(cwd: string): boolean {
  try {
    const { name } = JSON.parse(readFileSync(join(cwd, "package.json"), "utf8")) as { name?: unknown };
    return name === "jackfield" && existsSync(join(cwd, "plugins"));
  } catch {
    return false;
  }
}

function nextSteps(tool: NewTool, shown: string): string {
  const call = `call ${tool.name} '{"name":"Ada"}'`;
  const steps = tool.inCheckout
    ? [
        `npm test -- ${shown}`,
        `add \`  - use: ./${shown}\` under \`plugins:\` in jackfield.yaml`,
        "npm start",
        `npm run jackfield -- ${call}`,
      ]
    : [
        `cd ${shown} && npm install && npm test`,
        `add \`  - use: ./${shown}\` under \`plugins:\` in jackfield.yaml`,
        "jackfield serve",
        `jackfield ${call}`,
      ];
  return steps.map((step, index) => `  ${index + 1}. ${step}`).join("\n");
}
