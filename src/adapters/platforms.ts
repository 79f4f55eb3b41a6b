import { cognigy } from "./cognigy/index.ts";
import { genesys } from "./genesys/index.ts";
import { http } from "./http/index.ts";
import { mcp } from "./mcp/index.ts";
import type { Platform } from "./platform.ts";

/** The supported platforms, in the order of their documentation. A new platform is one line here. */
export const platforms: readonly Platform[] = [genesys, cognigy, mcp, http];
