import type { Scope } from "../../auth/caller.ts";
import type { RawExchange, RawRoute } from "../route.ts";

/** What all routes of the door have in common. */
export type HttpRouteBase = Pick<RawRoute, "kind" | "failure" | "cors">;

/** Refuses a caller without a scope. True where the request has been answered. */
export type RefuseScope = (exchange: RawExchange, scope: Scope) => boolean;
