import type { JsonSchema } from "../plugin/tool.ts";

/** Minimum length of a redacted value: shorter ones would also match harmless text. */
const minLength = 4;

/** Returns the values in a configuration that its schema marks `secret: true`, including nested ones. */
export function secretsOf(config: unknown, schema: JsonSchema | undefined): string[] {
  if (schema === undefined || config === undefined || config === null) return [];
  if (schema["secret"] === true) return textsOf(config);
  const properties = schema["properties"];
  if (typeof properties !== "object" || properties === null || typeof config !== "object") return [];
  return Object.entries(properties).flatMap(([key, member]) =>
    secretsOf((config as Record<string, unknown>)[key], member as JsonSchema),
  );
}

/** Creates a function that replaces each of the secrets in a text with `[secret]`. */
export function createRedact(secrets: readonly string[]): (text: string) => string {
  const forms = secrets
    .filter((secret) => secret.length >= minLength)
    // Both verbatim and as it appears in JSON text.
    .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]);
  // Longest first, so that a secret with another one as its prefix is replaced completely.
  const known = [...new Set(forms)].sort((a, b) => b.length - a.length);
  if (known.length === 0) return (text) => text;
  return (text) => {
    for (const secret of known) if (text.includes(secret)) text = text.replaceAll(secret, "[secret]");
    return text;
  };
}

function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsOf) : [];
}
