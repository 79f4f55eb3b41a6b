import type { Platform } from "../platform.ts";
import { createCognigyAdapter } from "./adapter.ts";
import { cognigyInstruments } from "./metrics.ts";
import { cognigyConfiguration, type CognigySettings } from "./settings.ts";

/** NICE Cognigy.AI. */
export const cognigy: Platform<CognigySettings> = {
  ...cognigyConfiguration,
  instruments: cognigyInstruments,
  connect: (settings) => ({ adapter: createCognigyAdapter(settings) }),
};
