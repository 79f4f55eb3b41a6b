import { existsSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { isSeq, parseDocument } from "yaml";
import { CliError } from "./exit.ts";
import type { AddCommand } from "./session.ts";
import { type NewTool, templates } from "./templates.ts";

/** `jackfield new-tool`: creates a plugin from a template. */
export const addNewTool: AddCommand = (program, open) => {
  program
    .command("new-tool")
    .description("Write a new plugin with a passing test.")
    .argument("<NAME>", "name of the tool, such as get_store_hours")
    .addHelpText(
      "after",
      `
In a checkout of Jackfield the folder is plugins/NAME. Elsewhere it is ./NAME, and the tool is listed in jackfield.yaml.
No file is overwritten.

Examples:
  jackfield new-tool get_store_hours
`,
    )
    .action(async (name: string, _options, command) => {
      const session = open(command);
      const { cwd } = session.host;
      const tool = newTool(name, cwd);
      const folder = join(cwd, tool.inCheckout ? "plugins" : "", tool.folder);
      const shown = relative(cwd, folder);
      await createFolder(folder, shown);
      for (const [file, text] of Object.entries(templates(tool)))
        await writeFile(join(folder, file), text, { flag: "wx" });
      const listed = !tool.inCheckout && (await listPlugin(cwd, `./${shown}`));
      if (session.json) return session.print(JSON.stringify({ name: tool.name, folder: shown }));
      const where = listed ? `${shown} and listed it in jackfield.yaml` : shown;
      session.print(`Wrote the tool ${tool.name} to ${where}.\n\nNext:\n${nextSteps(tool, shown, listed)}`);
    });
};

function newTool(given: string, cwd: string): NewTool {
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
  const folder = words.join("-");
  const project = projectName(cwd);
  const scope = /^@[^/]+\//.exec(project ?? "")?.[0] ?? "";
  return {
    name: words.join("_"),
    folder,
    packageName: `${scope}${folder}`,
    inCheckout: project === "jackfield" && existsSync(join(cwd, "plugins")),
  };
}

async function createFolder(folder: string, shown: string): Promise<void> {
  if (existsSync(folder)) throw new CliError(`${shown} already exists: choose another name, or remove it first.`);
  try {
    await mkdir(folder, { recursive: true });
  } catch (reason) {
    const code = reason instanceof Error && "code" in reason ? String(reason.code) : "unknown";
    throw new CliError(`The folder ${shown} cannot be created (${code}).`);
  }
}

/** Returns the name of the package whose root is this folder; undefined if it is not one. */
function projectName(cwd: string): string | undefined {
  try {
    const { name } = JSON.parse(readFileSync(join(cwd, "package.json"), "utf8")) as { name?: unknown };
    return typeof name === "string" ? name : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Adds a plugin to the list in jackfield.yaml, creating the file if necessary and keeping comments. If an existing file
 * has no list of plugins, returns false and changes nothing: a list would replace the bundled plugins.
 */
async function listPlugin(cwd: string, use: string): Promise<boolean> {
  const path = join(cwd, "jackfield.yaml");
  if (!existsSync(path)) {
    await writeFile(path, `plugins:\n  - use: ${use}\n`, { flag: "wx" });
    return true;
  }
  const document = parseDocument(readFileSync(path, "utf8"));
  if (document.errors.length > 0 || !isSeq(document.get("plugins"))) return false;
  document.addIn(["plugins"], document.createNode({ use }));
  await writeFile(path, document.toString());
  return true;
}

function nextSteps(tool: NewTool, shown: string, listed: boolean): string {
  const call = `call ${tool.name} '{"name":"Ada"}'`;
  const list = listed ? [] : [`add \`  - use: ./${shown}\` under \`plugins:\` in jackfield.yaml`];
  const steps = tool.inCheckout
    ? [`npm test -- ${shown}`, ...list, "npm start", `npm run jackfield -- ${call}`]
    : [`npm test --prefix ${shown}`, ...list, "npx jackfield serve", `npx jackfield ${call}`];
  return steps.map((step, index) => `  ${index + 1}. ${step}`).join("\n");
}
