/** The meaning of a call's answer to the model. */
export type Answer =
  /** `number`: the number of the effect; a `read` has none. */
  | { readonly kind: "ok"; readonly number: number | undefined }
  | { readonly kind: "failed"; readonly text: string }
  /** It is unknown whether the call took effect. */
  | { readonly kind: "uncertain" }
  /** The call runs, or did not start: poll again. */
  | { readonly kind: "again"; readonly text: string };

const uncertain = "It is not known whether this request took effect.";
const notFinal = /Please retry\.|still being processed|is busy\. Try again|The request was cancelled/;

/** Parses an answer to the model. Genesys wraps errors that are not answers of the tool: `{"error":…}`. */
export function readAnswer(text: string): Answer {
  if (text.startsWith("{")) {
    const { number, error } = JSON.parse(text) as { number?: number; error?: string };
    return error === undefined ? { kind: "ok", number } : readAnswer(error);
  }
  if (text.startsWith(uncertain)) return { kind: "uncertain" };
  return notFinal.test(text) ? { kind: "again", text } : { kind: "failed", text };
}
