/** What a model reads of a call, as far as promises are concerned. */
export type Answer =
  /** `number` is that of the effect; a `read` has none. */
  | { readonly kind: "ok"; readonly number: number | undefined }
  | { readonly kind: "failed"; readonly text: string }
  /** It is not known whether it took effect. */
  | { readonly kind: "uncertain" }
  /** It runs, or did not begin: ask again. */
  | { readonly kind: "again"; readonly text: string };

const uncertain = "It is not known whether this request took effect.";
const notFinal = /Please retry\.|still being processed|is busy\. Try again|The request was cancelled/;

/** Reads what a model reads. Genesys wraps what is no answer of the tool's: `{"error":…}`. */
export function readAnswer(text: string): Answer {
  if (text.startsWith("{")) {
    const { number, error } = JSON.parse(text) as { number?: number; error?: string };
    return error === undefined ? { kind: "ok", number } : readAnswer(error);
  }
  if (text.startsWith(uncertain)) return { kind: "uncertain" };
  return notFinal.test(text) ? { kind: "again", text } : { kind: "failed", text };
}
