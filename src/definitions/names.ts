import { createHash } from "node:crypto";

/** A form in which models and hosts are told of tools. */
export type DefinitionFormat = "openai" | "anthropic" | "mcp";

/** All forms. */
export const definitionFormats: readonly DefinitionFormat[] = ["openai", "anthropic", "mcp"];

// What each form allows as a name: OpenAI and Anthropic by their API references, MCP by its specification.
const allowed: Record<
  DefinitionFormat,
  { readonly pattern: RegExp; readonly other: RegExp; readonly longest: number }
> = {
  openai: { pattern: /^[a-zA-Z0-9_-]{1,64}$/, other: /[^a-zA-Z0-9_-]/g, longest: 64 },
  anthropic: { pattern: /^[a-zA-Z0-9_-]{1,64}$/, other: /[^a-zA-Z0-9_-]/g, longest: 64 },
  mcp: { pattern: /^[a-zA-Z0-9_.-]{1,128}$/, other: /[^a-zA-Z0-9_.-]/g, longest: 128 },
};

/** Tells whether a text names a form. */
export function isDefinitionFormat(value: unknown): value is DefinitionFormat {
  return definitionFormats.some((format) => format === value);
}

/**
 * A tool's name in a form: the name itself where the form allows it, else its allowed characters with a digest of the
 * whole name at the end, so that two names stay two.
 */
export function nameFor(format: DefinitionFormat, name: string): string {
  const { pattern, other, longest } = allowed[format];
  if (pattern.test(name)) return name;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 12);
  return `${name.replace(other, "_").slice(0, longest - digest.length - 1)}_${digest}`;
}

/** The inverse of `nameFor` among the known names; a name that is nobody's comes back as it is. */
export function nameFrom(format: DefinitionFormat, given: string, names: Iterable<string>): string {
  let found: string | undefined;
  for (const name of names) {
    if (name === given) return given;
    if (found === undefined && nameFor(format, name) === given) found = name;
  }
  return found ?? given;
}
