import type { AdapterConfiguration } from "../../settings.ts";

/** Settings of plain HTTP. */
export interface HttpOwnSettings {
  /** Public URL of the service. Empty if unknown. */
  readonly publicUrl: string;
  readonly corsOrigins: readonly string[];
}

/** Configuration of plain HTTP. */
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
