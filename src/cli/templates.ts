/** Parameters of the template for a new plugin. */
export interface NewTool {
  /** Name by which the model calls the tool. */
  readonly name: string;
  /** Name of its folder. */
  readonly folder: string;
  /** Name of its package: the folder's name, in the scope of the user's own project. */
  readonly packageName: string;
  /** True inside the repository of Jackfield itself, whose test runner and compiler the plugin then uses. */
  readonly inCheckout: boolean;
}

/** Returns the files of a new plugin, by name. */
export function templates(tool: NewTool): Record<string, string> {
  return {
    "package.json": packageJson(tool),
    ...(!tool.inCheckout && { "tsconfig.json": tsconfig }),
    "index.ts": module_(tool),
    "index.test.ts": tool.inCheckout ? vitestTest(tool) : nodeTest(tool),
    "README.md": readme(tool),
  };
}

function packageJson({ packageName, inCheckout }: NewTool): string {
  const manifest = {
    name: packageName,
    version: "0.1.0",
    private: true,
    type: "module",
    exports: { ".": "./index.ts", "./package.json": "./package.json" },
    ...(!inCheckout && { scripts: { test: "node --test", typecheck: "tsc -p ." } }),
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

const tsconfig = `{
  "compilerOptions": {
    "target": "esnext",
    "module": "nodenext",
    "lib": ["esnext"],
    "types": ["node"],
    "strict": true,
    "noEmit": true,
    "verbatimModuleSyntax": true,
    "erasableSyntaxOnly": true,
    "allowImportingTsExtensions": true,
    "skipLibCheck": true
  },
  "include": ["*.ts"]
}
`;

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
  // "read" changes nothing. Use "write" for what must not happen twice, "idempotent" if the other side recognises a repeat.
  effect: "read",
  async execute({ name }) {
    // The model reads the message of a ToolError; of any other error it reads only that the tool failed.
    if (name === "nobody") throw new ToolError("There is nobody to greet.");
    return { greeting: \`Hello, \${name}!\` };
  },
});
`;
}

function vitestTest({ name }: NewTool): string {
  return `import { expect, test } from "vitest";
import { startTool } from "jackfield/testing";
import plugin from "./index.ts";

test("${name} answers", async () => {
  await using tool = await startTool(plugin);
  expect(await tool.call({ name: "Ada" })).toMatchObject({ outcome: "OK", value: { greeting: "Hello, Ada!" } });
});

test("${name} explains a failure to the model", async () => {
  await using tool = await startTool(plugin);
  expect(await tool.call({ name: "nobody" })).toMatchObject({ outcome: "FAILED", output: "There is nobody to greet." });
  expect(await tool.call({})).toMatchObject({ outcome: "INVALID_ARGUMENTS" });
});
`;
}

function nodeTest({ name }: NewTool): string {
  return `import assert from "node:assert/strict";
import { test } from "node:test";
import { startTool } from "jackfield/testing";
import plugin from "./index.ts";

test("${name} answers", async () => {
  await using tool = await startTool(plugin);
  const { outcome, value } = await tool.call({ name: "Ada" });
  assert.deepEqual({ outcome, value }, { outcome: "OK", value: { greeting: "Hello, Ada!" } });
});

test("${name} explains a failure to the model", async () => {
  await using tool = await startTool(plugin);
  const { outcome, output } = await tool.call({ name: "nobody" });
  assert.deepEqual({ outcome, output }, { outcome: "FAILED", output: "There is nobody to greet." });
  assert.equal((await tool.call({})).outcome, "INVALID_ARGUMENTS");
});
`;
}

function readme({ name, folder, inCheckout }: NewTool): string {
  const path = inCheckout ? `./plugins/${folder}` : `./${folder}`;
  const command = inCheckout ? "npm run jackfield --" : "npx jackfield";
  const test = inCheckout
    ? `npm test -- plugins/${folder}`
    : `npm test --prefix ${folder}\nnpm install --save-dev typescript @types/node && npx tsc -p ${folder}`;
  return `# ${name}

Says hello to a person. Describe here what the tool is for and what it needs.

Arguments: \`name\` (text, 1 to 64 characters). Answer: \`{"greeting": "…"}\`. Effect: \`read\`.

## Use it

In \`jackfield.yaml\`, which lists every tool that is served:

\`\`\`yaml
plugins:
  - use: ${path}
\`\`\`

Then, while the service runs:

\`\`\`sh
${command} call ${name} '{"name":"Ada"}'
\`\`\`

## Test it

\`\`\`sh
${test}
\`\`\`
`;
}
