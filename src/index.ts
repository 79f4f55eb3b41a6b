// Whatever is exported here is public API.
export { createJackfield, type Jackfield, type JackfieldOptions } from "./jackfield.ts";
export { ConfigError } from "./config/config-error.ts";
export type { Config } from "./config/config.ts";
export { loadConfig } from "./config/load-config.ts";
