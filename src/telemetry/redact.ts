const gone = "[secret]";

/** Keeps known secret texts out of whatever is written. */
export interface Redactor {
  /** Adds a text to keep secret; shorter than 4 characters it is left alone, every line would hold it. */
  hide(secret: string): void;
  /** The text with each known secret replaced, also where JSON has escaped it. */
  redact(text: string): string;
}

/** Makes a redactor that knows the given secrets. */
export function createRedactor(secrets: readonly string[]): Redactor {
  const hidden = new Set<string>();
  let pattern: RegExp | undefined;
  const hide = (secret: string): void => {
    if (secret.length < 4) return;
    for (const form of [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret.toWellFormed())])
      hidden.add(form);
    // The longest first: a secret that begins with another must not leave its end behind.
    const forms = [...hidden].sort((a, b) => b.length - a.length);
    pattern = new RegExp(forms.map((form) => RegExp.escape(form)).join("|"), "g");
  };
  for (const secret of secrets) hide(secret);
  return { hide, redact: (text) => (pattern === undefined ? text : text.replace(pattern, gone)) };
}
