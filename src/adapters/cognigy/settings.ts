import type { SignatureSettings } from "../../auth/caller.ts";
import type { NamedKey } from "../../auth/header-keys.ts";
import type { AdapterConfiguration } from "../../settings.ts";

/** Settings of the Cognigy adapter. */
export interface CognigySettings {
  readonly keys: readonly NamedKey[];
  /** How callbacks are signed. If keys are configured too, a callback needs both. */
  readonly signature?: SignatureSettings | undefined;
  readonly maxPending: number;
  readonly corsOrigins: readonly string[];
}

/** Configuration of the Cognigy adapter. */
export const cognigyConfiguration: AdapterConfiguration<CognigySettings> = {
  name: "cognigy",
  title: "Cognigy adapter",
  defaults: { answerWithinMs: 5000, maxOutput: 49_152 },
  settings: {
    keys: {
      type: "array",
      format: "named-keys",
      secret: true,
      env: "COGNIGY_API_KEY",
      description: "Keys of the X-Cognigy-AI-API-Key header.",
    },
    signature: {
      type: "object",
      format: "signature",
      description: "How callbacks are signed. If keys are configured too, a request needs both.",
    },
    maxPending: {
      type: "integer",
      minimum: 1,
      maximum: 1_000_000,
      description: "Maximum number of pending calls.",
    },
    corsOrigins: { type: "array", format: "origins", description: "Origins of web pages that may call." },
  },
  complete: ({ keys = [], signature, maxPending = 10_000, corsOrigins = ["https://app.cognigy.ai"] }) => ({
    keys,
    signature,
    maxPending,
    corsOrigins,
  }),
  openUnless: ({ keys, signature }) => (keys.length === 0 && signature === undefined ? "COGNIGY_API_KEY" : undefined),
};
