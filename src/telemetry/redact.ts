const mask = "[secret]";

/** Secrets shorter than this are not looked for: every line would hold them. */
const minLength = 4;

/** Longest form, in characters, that goes into a shared pattern. An engine refuses patterns that are too large. */
const maxPatternForm = 1024;

/** Longest shared pattern, in characters. */
const maxPattern = 16_384;

/** Tokens that are kept secret at a time: they are replaced every hour or so, for as long as the process runs. */
const maxTokens = 256;

/** Keeps known secrets out of everything that is written. */
export interface Redactor {
  /** Adds a text to keep secret. One of fewer than 4 characters is ignored. Never throws. */
  hide(secret: string): void;
  /** Adds a text that is secret for a while, such as a token: of these the latest 256 are kept secret. Never throws. */
  hideToken(token: string): void;
  /** Returns the text with each known secret replaced, also where JSON or a URL has escaped it. Never throws. */
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

/** A secret as it is, as JSON escapes it, and as a URL does. */
function formsOf(secret: string): string[] {
  return [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret.toWellFormed())];
}

/**
 * Returns what is looked for, the longest first: a secret that begins with another must not leave its end behind. Short
 * forms share patterns of a bounded size; a form that is too long for a pattern is looked for by itself.
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
