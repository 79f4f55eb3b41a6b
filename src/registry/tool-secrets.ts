import type { JsonSchema } from "../plugin/tool.ts";

/** Shortest value that is looked for in texts: shorter ones would also hit what is no secret. */
const shortest = 4;

/** The values of a configuration that its schema marks `secret: true`, nested ones too. */
export function secretsOf(config: unknown, schema: JsonSchema | undefined): string[] {
  if (schema === undefined || config === undefined || config === null) return [];
  if (schema["secret"] === true) return textsOf(config);
  const properties = schema["properties"];
  if (typeof properties !== "object" || properties === null || typeof config !== "object") return [];
  return Object.entries(properties).flatMap(([key, member]) =>
    secretsOf((config as Record<string, unknown>)[key], member as JsonSchema),
  );
}

/** Makes the function that replaces every one of the secrets in a text by `[secret]`. */
export function createRedact(secrets: readonly string[]): (text: string) => string {
  const forms = secrets
    .filter((secret) => secret.length >= shortest)
    // As it is, and as it stands in JSON text.
    .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]);
  // The longest first: a secret that begins with another must not leave its end behind.
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
