import type { AdapterConfiguration } from "../../settings.ts";

/** Settings of the plain HTTP door's own. */
export interface HttpOwnSettings {
  /** Where clients reach the service. Empty where it is not known. */
  readonly publicUrl: string;
  readonly corsOrigins: readonly string[];
}

/** How the plain HTTP door is configured. */
export const httpConfiguration: AdapterConfiguration<HttpOwnSettings> = {
  name: "http",
  title: "HTTP door",
  defaults: { answerWithinMs: 8000, maxOutput: 65_536 },
  settings: {
    publicUrl: {
      type: "string",
      format: "uri",
      minLength: 0,
      description: "Public URL of the service, for /openapi.json.",
    },
    corsOrigins: { type: "array", format: "origins", description: "Origins of web pages that may call." },
  },
  complete: ({ publicUrl = "", corsOrigins = [] }) => ({ publicUrl, corsOrigins }),
  publicUrls: ({ publicUrl }) => (publicUrl === "" ? [] : [publicUrl]),
};
