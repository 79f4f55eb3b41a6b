// Everything exported here is public API.
export { createJackfield, type Jackfield, type JackfieldOptions } from "./jackfield.ts";
export type { JackfieldSettings, PluginEntry } from "./app/configuration-by-object.ts";
export { ConfigError } from "./config/config-error.ts";
