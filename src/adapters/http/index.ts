import type { Platform } from "../platform.ts";
import { createHttpAdapter } from "./adapter.ts";
import { httpConfiguration, type HttpOwnSettings } from "./settings.ts";

/** Tools as plain HTTP. */
export const http: Platform<HttpOwnSettings> = {
  ...httpConfiguration,
  instruments: [],
  connect: (settings, { version, service }) => ({
    adapter: createHttpAdapter(settings, { version, metadataUrl: service.metadataUrl }),
  }),
};
