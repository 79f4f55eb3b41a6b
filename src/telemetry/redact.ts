const mask = "[secret]";

/** Minimum length of a redacted secret: shorter ones would occur in every line. */
const minLength = 4;

/**
 * Maximum length of a form that goes into a shared pattern, in characters. Engines reject patterns that are too large.
 */
const maxPatternForm = 1024;

/** Maximum length of a shared pattern, in characters. */
const maxPattern = 16_384;

/** Maximum number of tokens kept secret at a time: they are replaced about every hour, as long as the process runs. */
const maxTokens = 256;

/** Removes known secrets from all output. */
export interface Redactor {
  /** Adds a secret text. One of fewer than 4 characters is ignored. Never throws. */
  hide(secret: string): void;
  /** Adds a temporary secret, such as a token: the latest 256 are kept. Never throws. */
  hideToken(token: string): void;
  /** Returns the text with each known secret replaced, including its JSON and URL escapes. Never throws. */
  redact(text: string): string;
}

/** Creates a redactor that knows the given secrets. */
export function createRedactor(secrets: readonly string[]): Redactor {
  const hidden = new Set<string>();
  const tokens = new Set<string>();
  let replacements: readonly (string | RegExp)[] | undefined = [];

  function hide(secret: string): void {
    if (secret.length < minLength) return;
    for (const form of formsOf(secret)) hidden.add(form);
    replacements = undefined;
  }

  function hideToken(token: string): void {
    if (token.length < minLength || tokens.has(token)) return;
    if (tokens.size >= maxTokens) {
      const [oldest] = tokens;
      if (oldest !== undefined) tokens.delete(oldest);
    }
    tokens.add(token);
    replacements = undefined;
  }

  function redact(text: string): string {
    replacements ??= replacementsFor(hidden.union(new Set([...tokens].flatMap(formsOf))));
    let clean = text;
    for (const secret of replacements) {
      if (typeof secret !== "string") clean = clean.replace(secret, mask);
      else if (clean.includes(secret)) clean = clean.replaceAll(secret, mask);
    }
    return clean;
  }

  for (const secret of secrets) hide(secret);
  return { hide, hideToken, redact };
}

/** Returns a secret verbatim, JSON-escaped and URL-escaped. */
function formsOf(secret: string): string[] {
  return [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret.toWellFormed())];
}

/**
 * Returns the search patterns, longest first, so that a secret with another one as its prefix is replaced completely.
 * Short forms share patterns of bounded size; a form that is too long for a pattern is searched for separately.
 */
function replacementsFor(hidden: ReadonlySet<string>): (string | RegExp)[] {
  const forms = [...hidden].sort((a, b) => b.length - a.length);
  const found: (string | RegExp)[] = forms.filter((form) => form.length > maxPatternForm);
  let group: string[] = [];
  let size = 0;
  const close = (): void => {
    if (group.length > 0) found.push(new RegExp(group.join("|"), "g"));
    group = [];
    size = 0;
  };
  for (const form of forms) {
    if (form.length > maxPatternForm) continue;
    const escaped = RegExp.escape(form);
    if (size + escaped.length > maxPattern) close();
    group.push(escaped);
    size += escaped.length + 1;
  }
  close();
  return found;
}
