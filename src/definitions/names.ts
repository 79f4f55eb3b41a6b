import { createHash } from "node:crypto";

/** A format of tool definitions. */
export type DefinitionFormat = "openai" | "anthropic" | "mcp";

/** All formats. */
export const definitionFormats: readonly DefinitionFormat[] = ["openai", "anthropic", "mcp"];

// The names that each format allows: OpenAI and Anthropic by their API references, MCP by its specification.
const allowed: Record<
  DefinitionFormat,
  { readonly pattern: RegExp; readonly other: RegExp; readonly maxLength: number }
> = {
  openai: { pattern: /^[a-zA-Z0-9_-]{1,64}$/, other: /[^a-zA-Z0-9_-]/g, maxLength: 64 },
  anthropic: { pattern: /^[a-zA-Z0-9_-]{1,64}$/, other: /[^a-zA-Z0-9_-]/g, maxLength: 64 },
  mcp: { pattern: /^[a-zA-Z0-9_.-]{1,128}$/, other: /[^a-zA-Z0-9_.-]/g, maxLength: 128 },
};

/** Reports whether a value names a format. */
export function isDefinitionFormat(value: unknown): value is DefinitionFormat {
  return definitionFormats.some((format) => format === value);
}

/**
 * Returns a tool's name in a format: the name itself if the format allows it. Otherwise disallowed characters are removed
 * and a digest of the full name is appended, so that different names stay different.
 */
export function nameFor(format: DefinitionFormat, name: string): string {
  const { pattern, other, maxLength } = allowed[format];
  if (pattern.test(name)) return name;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 12);
  return `${name.replace(other, "_").slice(0, maxLength - digest.length - 1)}_${digest}`;
}

/** The inverse of `nameFor` among the known names. An unknown name is returned unchanged. */
export function nameFrom(format: DefinitionFormat, given: string, names: Iterable<string>): string {
  let found: string | undefined;
  for (const name of names) {
    if (name === given) return given;
    if (found === undefined && nameFor(format, name) === given) found = name;
  }
  return found ?? given;
}
