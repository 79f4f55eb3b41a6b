import { posix } from "node:path";

/** Sources by path from the root of the repository. */
export type Sources = ReadonlyMap<string, string>;

/** One import statement. */
interface Import {
  readonly specifier: string;
  /** Path from the root, where the specifier is relative. */
  readonly target: string | undefined;
  readonly typeOnly: boolean;
  /** An `import()`, which loads the file only when it is called. */
  readonly dynamic: boolean;
}

/** What each room may import of our own code, besides itself. Rooms that are missing here may import everything. */
export type Floors = Readonly<Record<string, readonly string[]>>;

/** Longest file in lines. */
export const maxLines = 300;

/** Returns the imports of a file: static ones, types included, and dynamic ones. */
export function importsOf(file: string, text: string): Import[] {
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?[^;"']*?from\s*"([^"]+)"|(?:^|\n)\s*import\s+"([^"]+)"|import\s*\(\s*"([^"]+)"/g,
  );
  return [...found].map(([, type, from, bare, dynamic]) => {
    const specifier = from ?? bare ?? dynamic ?? "";
    const target = specifier.startsWith(".") ? posix.normalize(posix.join(posix.dirname(file), specifier)) : undefined;
    return { specifier, target, typeOnly: type !== undefined, dynamic: dynamic !== undefined };
  });
}

/** The room of a file: the folder, or the file, below `src`. */
export function roomOf(file: string): string {
  const [first = "", second = ""] = file.split("/");
  return first === "src" ? second.replace(/\.ts$/, "") : first;
}

/** Imports of rooms that are not below. `typesOnly`: rooms of which only types may be imported, by importing room. */
export function floorViolations(
  sources: Sources,
  floors: Floors,
  top: ReadonlySet<string>,
  typesOnly: Floors = {},
): string[] {
  return flatMap(sources, (file, text) => {
    const room = roomOf(file);
    if (file.startsWith("plugins/") || top.has(room)) return [];
    const allowed = floors[room];
    if (allowed === undefined) return [`${file}: the room ${room} stands on no floor`];
    return importsOf(file, text).flatMap(({ target, typeOnly, specifier }) => {
      if (target === undefined) return [];
      const other = roomOf(target);
      if (other === room) return [];
      if (!allowed.includes(other)) return [`${file} imports ${specifier}`];
      return !typeOnly && typesOnly[room]?.includes(other) ? [`${file} imports more than types of ${specifier}`] : [];
    });
  });
}

/** Imports of one adapter's folder by another. */
export function adapterViolations(sources: Sources): string[] {
  return flatMap(sources, (file, text) => {
    const own = /^src\/adapters\/([^/]+)\//.exec(file)?.[1];
    if (own === undefined) return [];
    return importsOf(file, text).flatMap(({ target, specifier }) => {
      const other = target === undefined ? undefined : /^src\/adapters\/([^/]+)\//.exec(target)?.[1];
      return other === undefined || other === own ? [] : [`${file} imports ${specifier}`];
    });
  });
}

/** Imports of a plugin that leave its folder, other than `jackfield/plugin` and, in tests, `jackfield/testing`. */
export function pluginViolations(sources: Sources): string[] {
  return flatMap(sources, (file, text) => {
    const folder = /^plugins\/[^/]+\//.exec(file)?.[0];
    if (folder === undefined) return [];
    const open = file.endsWith(".test.ts") ? ["jackfield/plugin", "jackfield/testing"] : ["jackfield/plugin"];
    return importsOf(file, text).flatMap(({ target, specifier }) => {
      const wrong =
        target === undefined
          ? /^@?jackfield\b/.test(specifier) && !open.includes(specifier)
          : !target.startsWith(folder);
      return wrong ? [`${file} imports ${specifier}`] : [];
    });
  });
}

/** The packages and files that a file loads as soon as it is imported, by its own imports and by those of the files it loads. */
export function loadedBy(file: string, sources: Sources): ReadonlySet<string> {
  const loaded = new Set([file]);
  for (const one of loaded) {
    for (const { specifier, target, typeOnly, dynamic } of importsOf(one, sources.get(one) ?? "")) {
      if (!typeOnly && !dynamic) loaded.add(target ?? specifier);
    }
  }
  return loaded;
}

/** Files that import each other in a circle, types included: each circle as one line. */
export function importCycles(sources: Sources): string[] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const cycles: string[] = [];
  const visit = (file: string): void => {
    index.set(file, index.size);
    low.set(file, index.get(file) ?? 0);
    stack.push(file);
    for (const { target } of importsOf(file, sources.get(file) ?? "")) {
      if (target === undefined || !sources.has(target)) continue;
      if (target === file) cycles.push(file);
      if (!index.has(target)) visit(target);
      if (stack.includes(target)) low.set(file, Math.min(low.get(file) ?? 0, low.get(target) ?? 0));
    }
    if (low.get(file) !== index.get(file)) return;
    const circle = stack.splice(stack.indexOf(file));
    if (circle.length > 1) cycles.push(circle.sort().join(" – "));
  };
  for (const file of sources.keys()) if (!index.has(file)) visit(file);
  return cycles;
}

/** Files that are too long. */
export function longFiles(sources: Sources): string[] {
  return flatMap(sources, (file, text) => {
    const lines = text.split("\n").length - 1;
    return file.startsWith("gen/") || /\/generated\//.test(file) || lines <= maxLines
      ? []
      : [`${file} has ${lines} lines`];
  });
}

function flatMap(sources: Sources, find: (file: string, text: string) => string[]): string[] {
  return [...sources].flatMap(([file, text]) => find(file, text));
}
