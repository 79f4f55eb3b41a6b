// Completes package-lock.json after `npm install`: run `npm run lock`.
//
// - npm omits the optional packages of other platforms, and `npm ci` rejects the file there. They are added, with their
//   checksums.
// - The `engines` of the packages are removed. The repository runs on the Node that it installs itself, so the
//   machine's Node must neither cause a warning for each package nor skip a native binary.
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";

interface Package {
  version?: string;
  integrity?: string;
  link?: boolean;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  engines?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"];
const processors = new Map(
  Object.entries({
    aarch64: "arm64",
    arm: "arm",
    arm64: "arm64",
    armv7: "arm",
    ia32: "ia32",
    loong64: "loong64",
    mips64el: "mips64el",
    ppc64: "ppc64",
    riscv64: "riscv64",
    s390x: "s390x",
    wasm32: "wasm32",
    x64: "x64",
  }),
);

const file = process.argv[2] ?? "package-lock.json";
const lock = JSON.parse(readFileSync(file, "utf8")) as { packages: Record<string, Package> };
const { packages } = lock;

/** Reports whether the package at a path finds a dependency, looking upwards as Node does. */
function isInstalled(at: string, dependency: string): boolean {
  for (let folder = at; ;) {
    if (packages[`${folder === "" ? "" : `${folder}/`}node_modules/${dependency}`] !== undefined) return true;
    if (folder === "") return false;
    const parent = folder.lastIndexOf("node_modules/");
    folder = parent <= 0 ? "" : folder.slice(0, parent - 1);
  }
}

/** Returns the entry by which npm skips a package on other platforms: version and platform, both from its name. */
function platformEntry(dependency: string, range: string, dev: boolean): Package {
  const nameParts = dependency.split(/[/\-_.]/);
  const system = systems.find((name) => nameParts.includes(name)) ?? (nameParts.includes("win") ? "win32" : undefined);
  const processor = nameParts.map((word) => processors.get(word)).find((name) => name !== undefined);
  const musl = dependency.includes("musl");
  return {
    version: range.replace(/^[\^~]/, ""),
    ...(processor !== undefined && { cpu: [processor] }),
    ...(dev && { dev }),
    ...(musl && { libc: ["musl"] }),
    optional: true,
    ...(system !== undefined ? { os: [system] } : musl && { os: ["linux"] }),
  };
}

/** Returns the checksum with which a version was published. */
async function publishedIntegrity(name: string, version: string): Promise<string> {
  const { stdout } = await promisify(execFile)("npm", ["view", `${name}@${version}`, "dist.integrity", "--json"]);
  return JSON.parse(stdout) as string;
}

let added = 0;
for (const [at, { optionalDependencies = {}, dev = false }] of Object.entries({ ...packages })) {
  for (const [dependency, range] of Object.entries(optionalDependencies)) {
    if (isInstalled(at, dependency)) continue;
    packages[`node_modules/${dependency}`] = platformEntry(dependency, range, dev);
    added++;
  }
}

const incomplete = Object.entries(packages).filter(
  ([at, { version, integrity, link }]) =>
    at.includes("node_modules/") && version !== undefined && integrity === undefined && link !== true,
);
for (let at = 0; at < incomplete.length; at += 4) {
  await Promise.all(
    incomplete.slice(at, at + 4).map(async ([path, entry]) => {
      const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
      entry.integrity = await publishedIntegrity(name, entry.version ?? "");
    }),
  );
}

for (const [at, entry] of Object.entries(packages)) if (at !== "") delete entry.engines;

lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${file}: ${added} packages and ${incomplete.length} checksums added`);
