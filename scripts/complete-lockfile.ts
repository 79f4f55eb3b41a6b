// Adds to package-lock.json the optional packages of other platforms that npm leaves out on this one: without them
// `npm ci` refuses the lock file there, and here. Run it after each `npm install`: `npm run lock`.
import { readFileSync, writeFileSync } from "node:fs";

interface Package {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
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

/** Tells whether a package that stands at `at` finds a dependency, looking upwards as Node does. */
function isInstalled(at: string, dependency: string): boolean {
  for (let folder = at; ;) {
    if (packages[`${folder === "" ? "" : `${folder}/`}node_modules/${dependency}`] !== undefined) return true;
    if (folder === "") return false;
    const parent = folder.lastIndexOf("node_modules/");
    folder = parent <= 0 ? "" : folder.slice(0, parent - 1);
  }
}

/** What an entry needs so that npm skips it elsewhere: version and platform, both read from the name. */
function stub(dependency: string, range: string, dev: boolean): Package {
  const words = dependency.split(/[/\-_.]/);
  const system = systems.find((name) => words.includes(name)) ?? (words.includes("win") ? "win32" : undefined);
  const processor = words.map((word) => processors.get(word)).find((name) => name !== undefined);
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

let added = 0;
for (const [at, { optionalDependencies = {}, dev = false }] of Object.entries({ ...packages })) {
  for (const [dependency, range] of Object.entries(optionalDependencies)) {
    if (isInstalled(at, dependency)) continue;
    packages[`node_modules/${dependency}`] = stub(dependency, range, dev);
    added++;
  }
}
lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${added} entries added to ${file}`);
