// Writes docs/api from the doc comments of the package's exports: `npm run api`, after `npm run build`.
//
// It reads the compiled declarations, which contain inferred types and omit everything that is not public.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Comment, parseSync, type Program } from "oxc-parser";

const root = join(import.meta.dirname, "..");
const target = join(root, "docs/api");

const pages = [
  {
    file: "jackfield.md",
    specifier: "jackfield",
    entry: "dist/src/index.d.ts",
    about: "Runs a Jackfield service inside a process of your own.",
  },
  {
    file: "plugin.md",
    specifier: "jackfield/plugin",
    entry: "dist/src/plugin/index.d.ts",
    about: "The contract of a tool: everything that a plugin imports.",
  },
  {
    file: "testing.md",
    specifier: "jackfield/testing",
    entry: "dist/src/testing/index.d.ts",
    about: "Runs a tool through the real pipeline in a test.",
  },
  {
    file: "client.md",
    specifier: "jackfield/client",
    entry: "dist/src/client.d.ts",
    about:
      "Typed clients of the services, also as the package `@jackfield/client`. The messages are those of `proto/`.",
  },
];

interface Declaration {
  readonly name: string;
  readonly doc: string;
  readonly code: string;
  readonly kind: "function" | "class" | "type" | "value";
}

interface Module {
  readonly path: string;
  readonly text: string;
  readonly program: Program;
  readonly comments: readonly Comment[];
}

const modules = new Map<string, Module>();

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
for (const { file, specifier, entry, about } of pages) {
  const found = exportsOf(moduleAt(join(root, entry)));
  writeFileSync(join(target, file), pageOf(specifier, about, found));
}
const list = pages.map(({ file, specifier, about }) => `- [\`${specifier}\`](${file}): ${about}`);
writeFileSync(
  join(target, "README.md"),
  `# API reference\n\nWritten by \`npm run api\` from the doc comments of the sources.\n\n${list.join("\n")}\n`,
);

function moduleAt(path: string): Module {
  const known = modules.get(path);
  if (known !== undefined) return known;
  const text = readFileSync(path, "utf8");
  const { program, comments } = parseSync(path, text);
  const module = { path, text, program, comments };
  modules.set(path, module);
  return module;
}

/** Returns a module's exports in the order of its source, without those of other packages. */
function exportsOf(module: Module): Declaration[] {
  return module.program.body.flatMap((node): Declaration[] => {
    if (node.type !== "ExportNamedDeclaration") return [];
    if (node.declaration !== null)
      return named(module, node.declaration) === undefined ? [] : [declarationOf(module, node)];
    return node.specifiers.flatMap(({ local, exported }) => {
      const from = node.source?.value ?? importedFrom(module, text(local));
      if (from === undefined || !from.startsWith(".")) return [];
      const found = find(moduleAt(join(dirname(module.path), from.replace(/\.[jt]s$/, ".d.ts"))), text(local));
      return found === undefined ? [] : [{ ...found, name: text(exported) }];
    });
  });
}

function text(name: { readonly type: string; readonly name?: string; readonly value?: unknown }): string {
  return name.name ?? String(name.value);
}

/** Returns the specifier from which a module imports a local name. */
function importedFrom(module: Module, name: string): string | undefined {
  for (const node of module.program.body) {
    if (node.type !== "ImportDeclaration") continue;
    if (node.specifiers.some(({ local }) => local.name === name)) return node.source.value;
  }
  return undefined;
}

/** Finds a declaration by name, in the module or in the module from which it is re-exported. */
function find(module: Module, name: string): Declaration | undefined {
  for (const node of module.program.body) {
    const declared = node.type === "ExportNamedDeclaration" ? node.declaration : node;
    if (declared !== null && named(module, declared) === name) return declarationOf(module, node);
  }
  return exportsOf(module).find((one) => one.name === name);
}

/** Returns the name that a statement declares; undefined if it declares nothing. */
function named(
  module: Module,
  node: { readonly type: string; readonly start: number; readonly end: number },
): string | undefined {
  const code = module.text.slice(node.start, node.end);
  return /^(?:export )?(?:declare )?(?:abstract )?(?:const|let|function|class|interface|type|enum) ([\w$]+)/.exec(
    code,
  )?.[1];
}

function declarationOf(
  module: Module,
  node: { readonly type: string; readonly start: number; readonly end: number },
): Declaration {
  const code = module.text
    .slice(node.start, node.end)
    .replaceAll(/\n\s*\*(?:\n\s*\*)? @generated from [^\n]*/g, "")
    .replaceAll(/^(?: {4})+/gm, (indent) => " ".repeat(indent.length / 2))
    .replace(/^export /, "")
    .replace(/^declare /, "");
  const word = /^(?:abstract )?(\w+)/.exec(code)?.[1] ?? "";
  const kind = word === "function" || word === "class" ? word : word === "const" ? "value" : "type";
  const comment = module.comments.findLast(
    ({ type, end }) => type === "Block" && end <= node.start && module.text.slice(end, node.start).trim() === "",
  );
  return { name: named(module, node) ?? "", doc: docOf(comment), code, kind };
}

/** Returns the text of a doc comment without its stars. */
function docOf(comment: Comment | undefined): string {
  if (comment === undefined || !comment.value.startsWith("*")) return "";
  return comment.value
    .slice(1)
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd())
    .join("\n")
    .replace(/\n*@generated from [^\n]*/g, "")
    .trim();
}

function pageOf(specifier: string, about: string, declarations: readonly Declaration[]): string {
  const schemas = declarations.filter(({ name, kind }) => kind === "value" && name.endsWith("Schema"));
  const order = ["function", "class", "value", "type"];
  const shown = declarations
    .filter((one) => !schemas.includes(one))
    .toSorted((one, other) => order.indexOf(one.kind) - order.indexOf(other.kind) || (one.name < other.name ? -1 : 1));
  const sections = shown.map(
    ({ name, doc, code }) => `## \`${name}\`\n\n${doc === "" ? "" : `${doc}\n\n`}\`\`\`ts\n${code}\n\`\`\`\n`,
  );
  const messages = schemas.map(({ name }) => `\`${name}\``).toSorted();
  return [
    `# \`${specifier}\`\n\n${about}\n`,
    ...sections,
    ...(messages.length === 0
      ? []
      : [
          `## Message schemas\n\nEach message has a schema, for \`create\`, \`toJson\` and \`fromJson\` of \`@bufbuild/protobuf\`: ${messages.join(", ")}.\n`,
        ]),
  ].join("\n");
}
