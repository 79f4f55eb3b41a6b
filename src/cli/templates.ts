/** What a new plugin is written from. */
export interface NewTool {
  /** What the model calls it. */
  readonly name: string;
  /** Name of its folder and, in the repository under `@jackfield/`, of its package. */
  readonly folder: string;
  /** It goes into the repository of Jackfield itself. */
  readonly inCheckout: boolean;
  /** Version of Jackfield. */
  readonly version: string;
}

/** The files of a new plugin, by name. */
export function templates(tool: NewTool): Record<string, string> {
  return {
    "package.json": packageJson(tool),
    ...(tool.inCheckout && { "tsconfig.json": '{ "extends": "../../tsconfig.plugin.json" }\n' }),
    "index.ts": module_(tool),
    "index.test.ts": test_(tool),
    "README.md": readme(tool),
  };
}

function packageJson({ folder, inCheckout, version }: NewTool): string {
  const range = `^${version}`;
  const own = inCheckout
    ? {
        name: `@jackfield/${folder}`,
        version: "0.1.0",
        license: "Apache-2.0",
        type: "module",
        exports: {
          ".": { source: "./index.ts", types: "./dist/index.d.ts", default: "./dist/index.js" },
          "./package.json": "./package.json",
        },
        files: ["dist", "README.md"],
        scripts: { build: "tsc -p ." },
        peerDependencies: { jackfield: range },
      }
    : {
        name: folder,
        version: "0.1.0",
        private: true,
        type: "module",
        exports: { ".": "./index.ts", "./package.json": "./package.json" },
        scripts: { test: "vitest run" },
        peerDependencies: { jackfield: range },
        devDependencies: { jackfield: range, vitest: "^5.1.0" },
      };
  return `${JSON.stringify(own, null, 2)}\n`;
}

function module_({ name }: NewTool): string {
  return `import { defineTool, ToolError } from "jackfield/plugin";

export default defineTool({
  name: "${name}",
  // The model decides by this sentence whether to call the tool.
  description: "Say hello to a person.",
  inputSchema: {
    type: "object",
    properties: { name: { type: "string", minLength: 1, maxLength: 64, description: "Name of the person." } },
    required: ["name"],
    additionalProperties: false,
  },
  // "read" changes nothing. Say "write" for what must not happen twice, "idempotent" where the other side knows a repeat.
  effect: "read",
  async execute({ name }) {
    // The message of a ToolError is what the model reads; any other error is told as a failure without detail.
    if (name === "nobody") throw new ToolError("There is nobody to greet.");
    return { greeting: \`Hello, \${name}!\` };
  },
});
`;
}

function test_({ name }: NewTool): string {
  return `import { expect, test } from "vitest";
import { startTool } from "jackfield/testing";
import plugin from "./index.ts";

test("${name} answers", async () => {
  await using tool = await startTool(plugin);
  expect(await tool.call({ name: "Ada" })).toMatchObject({ outcome: "OK", value: { greeting: "Hello, Ada!" } });
});

test("${name} says what is wrong in words for the model", async () => {
  await using tool = await startTool(plugin);
  expect(await tool.call({ name: "nobody" })).toMatchObject({ outcome: "FAILED", output: "There is nobody to greet." });
  expect(await tool.call({})).toMatchObject({ outcome: "INVALID_ARGUMENTS" });
});
`;
}

function readme({ name, folder, inCheckout }: NewTool): string {
  const path = inCheckout ? `./plugins/${folder}` : `./${folder}`;
  const run = inCheckout ? "npm run jackfield --" : "jackfield";
  return `# ${name}

Says hello to a person. Write here what the tool is for and what it needs.

Arguments: \`name\` (text, 1 to 64 characters). Answer: \`{"greeting": "…"}\`. Effect: \`read\`.

## Use it

In \`jackfield.yaml\` (a list of plugins means exactly these: without one the bundled plugins are served):

\`\`\`yaml
plugins:
  - use: ${path}
\`\`\`

Then, while the service runs:

\`\`\`sh
${run} call ${name} '{"name":"Ada"}'
\`\`\`

## Test it

\`\`\`sh
${inCheckout ? `npm test -- plugins/${folder}` : "npm install && npm test"}
\`\`\`
`;
}
