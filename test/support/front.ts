import type { Authenticator } from "../../src/auth/authenticator.ts";
import { createChallenges } from "../../src/auth/challenge.ts";
import type { Caller } from "../../src/auth/caller.ts";
import { allScopes } from "../../src/config/scope.ts";
import { createFront, type Front } from "../../src/rpc/front.ts";
import { createAccessRefusals } from "../../src/telemetry/access-refusals.ts";
import type { Telemetry } from "../../src/telemetry/telemetry.ts";

/** A caller with all scopes. */
export const local: Caller = { name: "local", tenant: "default", scopes: new Set(allScopes), tools: undefined };

/** A front that authenticates every request as one caller. */
export function createOpenFront(telemetry: Telemetry, authenticate: Authenticator = () => local): Front {
  const [refusals, challenges] = [createAccessRefusals(telemetry), createChallenges(undefined)];
  return createFront({ telemetry, authenticate, refusals, challenges });
}
