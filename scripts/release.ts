// Makes a release: raises versions, builds every package and packs each into a tarball.
//
//   npm run release                                        packs all packages as they are into release/
//   npm run release -- jackfield@minor get-weather@patch   raises these two versions first
//   npm run release -- --out /tmp/tarballs
//
// Each package has its own version. The peer range of a tool on `jackfield` covers every release that keeps the plugin
// contract, so that releases of the core and of tools are independent.
// Publishing is a separate step, for a person who may do it: `npm publish` of each tarball.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

const root = join(import.meta.dirname, "..");
const steps = ["major", "minor", "patch"];

interface Manifest {
  name: string;
  version: string;
  workspaces?: string[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { out: { type: "string", default: "release" } },
});
const folders = [".", ...(manifestIn(".").workspaces ?? [])];
const raised = positionals.map(raise);
if (raised.length > 0) npm("install", "--package-lock-only", "--no-audit", "--no-fund");
if (raised.length > 0) npm("run", "--silent", "lock");

const out = resolve(root, values.out);
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
npm("run", "--silent", "build");
npm("pack", "--silent", "--ignore-scripts", "--workspaces", "--include-workspace-root", "--pack-destination", out);

for (const line of raised) console.log(line);
const tarballs = readdirSync(out).filter((name) => name.endsWith(".tgz"));
if (tarballs.length !== folders.length)
  throw new Error(`expected ${folders.length} tarballs, found ${tarballs.length}`);
console.log(`${tarballs.length} packages in ${out}:\n${tarballs.map((name) => `  ${name}`).join("\n")}`);
if (raised.length > 0) console.log("Commit the changed versions, tag them, and run `npm publish` on each new tarball.");

/** Raises the version of one package: `NAME@major`, `NAME@minor` or `NAME@patch`, with or without the scope. */
function raise(wish: string): string {
  const at = wish.lastIndexOf("@");
  const [name, step] = [wish.slice(0, at), wish.slice(at + 1)];
  const folder = folders.find((one) => [name, `@jackfield/${name}`].includes(manifestIn(one).name));
  if (folder === undefined || !steps.includes(step)) {
    throw new Error(`Expected PACKAGE@major, PACKAGE@minor or PACKAGE@patch; found ${wish}.`);
  }
  const path = join(root, folder, "package.json");
  const { name: full, version } = manifestIn(folder);
  const next = nextVersion(version, step);
  writeFileSync(path, readFileSync(path, "utf8").replace(`"version": "${version}"`, `"version": "${next}"`));
  if (folder === ".") closeChangelog(next);
  return `${full} ${version} → ${next}`;
}

/** Returns the version after a step. All parts after the raised one are 0. */
function nextVersion(version: string, step: string): string {
  const parts = version.split(".").map(Number);
  const index = steps.indexOf(step);
  return parts.map((part, at) => (at < index ? part : at === index ? part + 1 : 0)).join(".");
}

/** Moves the unreleased changes of the changelog to the version that contains them. */
function closeChangelog(version: string): void {
  const path = join(root, "CHANGELOG.md");
  const date = new Date().toISOString().slice(0, 10);
  const text = readFileSync(path, "utf8");
  if (!text.includes("## Unreleased\n")) throw new Error("CHANGELOG.md has no section `## Unreleased`.");
  writeFileSync(path, text.replace("## Unreleased\n", `## Unreleased\n\n## ${version} (${date})\n`));
}

function manifestIn(folder: string): Manifest {
  return JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")) as Manifest;
}

function npm(...args: string[]): void {
  execFileSync("npm", args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
}
