/**
 * The problem of a parsed envelope, or undefined: nesting beyond `depth` levels, a key `__proto__`, or a
 * key `constructor` with a `prototype` in it. Does not look below a key named `arguments`.
 */
export function envelopeProblem(envelope: unknown, depth: number): string | undefined {
  // DANGER: never recurse here. A body of 1 MB can nest 500,000 levels; a level at a time keeps the stack flat.
  let level = isNested(envelope) ? [envelope] : [];
  for (let levels = 1; level.length > 0; levels += 1) {
    if (levels > depth) return `The request body is nested deeper than ${depth} levels`;
    const next: object[] = [];
    for (const parent of level) {
      if (Array.isArray(parent)) {
        for (const child of parent as unknown[]) if (isNested(child)) next.push(child);
      } else {
        const problem = forbiddenKey(parent);
        if (problem !== undefined) return problem;
        for (const [key, child] of Object.entries(parent)) {
          if (key !== "arguments" && isNested(child)) next.push(child);
        }
      }
    }
    level = next;
  }
  return undefined;
}

function isNested(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function forbiddenKey(parent: object): string | undefined {
  if (Object.hasOwn(parent, "__proto__")) return "The request body must not have a key __proto__";
  if (!Object.hasOwn(parent, "constructor")) return undefined;
  const inner = (parent as Record<string, unknown>)["constructor"];
  if (!isNested(inner) || !Object.hasOwn(inner, "prototype")) return undefined;
  return "The request body must not have a key constructor.prototype";
}
