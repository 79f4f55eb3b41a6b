import type { Scope } from "../../auth/caller.ts";
import type { RawExchange, RawRoute } from "../route.ts";

/** Common properties of all routes of plain HTTP. */
export type HttpRouteBase = Pick<RawRoute, "kind" | "failure" | "cors">;

/** Refuses a caller without a scope. Returns true if the request has been answered. */
export type RefuseScope = (exchange: RawExchange, scope: Scope) => boolean;
