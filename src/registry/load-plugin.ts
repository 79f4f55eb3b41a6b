import { readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Tool } from "../plugin/tool.ts";
import { PluginError } from "./plugin-error.ts";

/** Version of the plugin contract that this release supports. */
const apiVersion = 1;

/** An imported plugin: its module and the tool that it exports. */
export interface LoadedPlugin {
  readonly tool: Tool;
  readonly version: string;
  /** URL of the module, for loading it again in another thread or process. */
  readonly url: string;
}

/** Finds and imports a plugin: a package name, or the path of a module file or package folder. */
export async function importPlugin(use: string): Promise<LoadedPlugin> {
  const { url, version } = await locate(use);
  let module: Record<string, unknown>;
  try {
    module = (await import(url)) as Record<string, unknown>;
  } catch (cause) {
    throw new PluginError(
      { code: "not-loadable", plugin: use, reason: `it cannot be loaded: ${firstLine(cause)}` },
      { cause },
    );
  }
  const tool = module["default"];
  if (typeof tool !== "object" || tool === null) {
    throw new PluginError({
      code: "no-export",
      plugin: use,
      reason: "it has no default export: write `export default defineTool({ … })`",
    });
  }
  const stamped = (tool as { apiVersion?: unknown }).apiVersion;
  if (stamped === undefined) {
    throw new PluginError({
      code: "no-export",
      plugin: use,
      reason: 'its default export was not made by defineTool of "jackfield/plugin"',
    });
  }
  if (stamped !== apiVersion) {
    throw new PluginError({
      code: "wrong-version",
      plugin: use,
      reason: `it uses version ${JSON.stringify(stamped)} of the plugin contract, and this is version ${apiVersion}`,
    });
  }
  return { tool: tool as Tool, version, url };
}

async function locate(use: string): Promise<{ url: string; version: string }> {
  if (!use.startsWith("/") && !use.startsWith(".") && !/^[A-Za-z]:[\\/]/.test(use)) return locatePackage(use);
  const path = resolve(use);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined)
    throw new PluginError({ code: "not-found", plugin: use, reason: "there is no such file or folder" });
  if (!found.isDirectory()) return { url: pathToFileURL(path).href, version: await versionAt(dirname(path)) };
  const manifest = await manifestAt(path);
  if (manifest === undefined)
    throw new PluginError({
      code: "not-found",
      plugin: use,
      reason: "the folder contains no readable package.json",
    });
  // Resolving a package by its own name applies its export map, including the source condition.
  const require = createRequire(join(path, "package.json"));
  if (typeof manifest.name === "string" && manifest.exports !== undefined) {
    try {
      return { url: pathToFileURL(require.resolve(manifest.name)).href, version: textOf(manifest.version) };
    } catch (cause) {
      throw new PluginError({ code: "not-loadable", plugin: use, reason: firstLine(cause) }, { cause });
    }
  }
  const main = join(path, typeof manifest.main === "string" ? manifest.main : "index.js");
  return { url: pathToFileURL(main).href, version: textOf(manifest.version) };
}

async function locatePackage(name: string): Promise<{ url: string; version: string }> {
  let url: string;
  try {
    url = import.meta.resolve(name);
  } catch (cause) {
    const reason = "no package of this name is installed: install it, or give a path that starts with `./`";
    throw new PluginError({ code: "not-found", plugin: name, reason }, { cause });
  }
  return { url, version: await versionAt(dirname(new URL(url).pathname)) };
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

interface Manifest {
  name?: unknown;
  version?: unknown;
  main?: unknown;
  exports?: unknown;
}

async function manifestAt(folder: string): Promise<Manifest | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as Manifest;
  } catch {
    return undefined;
  }
}

/** Returns the version of the package that contains a folder. */
async function versionAt(folder: string): Promise<string> {
  for (let at = folder; ; at = dirname(at)) {
    const manifest = await manifestAt(at);
    if (manifest !== undefined) return textOf(manifest.version);
    if (dirname(at) === at) return "";
  }
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split("\n")[0] ?? "";
}
