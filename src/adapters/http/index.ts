import type { FastifyReply } from "fastify";
import type { SanitizeMode } from "../../auth/caller.ts";
import { createChallenges } from "../../auth/challenge.ts";
import type { Adapter } from "../adapter.ts";
import type { Platform } from "../platform.ts";
import { sendJson, sendReply } from "../replies.ts";
import type { RawRoute, Reply, RequestFailure } from "../route.ts";
import { createToolCatalogs } from "../tool-catalog.ts";
import { createCallRoute } from "./call-route.ts";
import { createFindRoute } from "./find-route.ts";
import { openapiOf } from "./openapi.ts";
import type { HttpRouteBase, RefuseScope } from "./route-base.ts";
import { httpConfiguration, type HttpOwnSettings } from "./settings.ts";

/** Tools as plain HTTP. */
export const http: Platform<HttpOwnSettings> = {
  ...httpConfiguration,
  instruments: [],
  connect: (settings, { version, service }) => ({
    adapter: createHttpAdapter(settings, { version, metadataUrl: service.metadataUrl }),
  }),
};

/** Settings of plain HTTP. */
export interface HttpSettings {
  readonly answerWithinMs: number;
  /** Public URL of the service. Empty if unknown. */
  readonly publicUrl: string;
  readonly corsOrigins: readonly string[];
  readonly sanitize: SanitizeMode;
  /** Maximum output in bytes. */
  readonly maxOutput: number;
}

/** Dependencies of the adapter besides its settings. */
export interface HttpParts {
  readonly version: string;
  /** URL of the metadata of the protected resource (RFC 9728). Undefined if tokens are not accepted. */
  readonly metadataUrl: string | undefined;
}

const corsHeaders = [
  "Authorization",
  "X-Api-Key",
  "Content-Type",
  "Idempotency-Key",
  "Jackfield-Conversation-Id",
  "Prefer",
];

/** Creates the adapter of plain HTTP: `POST /tools/{name}`, `GET /calls/{callId}`, `GET /openapi.json`. */
export function createHttpAdapter(settings: HttpSettings, { version, metadataUrl }: HttpParts): Adapter {
  const challenges = createChallenges(metadataUrl);
  const catalogs = createToolCatalogs();
  const { sanitize, maxOutput, corsOrigins } = settings;

  function failure({ status, message, credentials }: RequestFailure): Reply {
    const body = JSON.stringify({ error: message || statusMessage(status) });
    if (status !== 401) return { status, body };
    const challenge = credentials === true ? challenges.invalid : challenges.missing;
    return { status, body, headers: { "www-authenticate": challenge } };
  }

  const refuseScope: RefuseScope = ({ caller, reply }, scope) => {
    if (caller.scopes.has(scope)) return false;
    const body = JSON.stringify({ error: `This caller lacks the scope ${scope}` });
    sendReply(reply, { status: 403, body, headers: { "www-authenticate": challenges.insufficient(scope) } });
    return true;
  };

  const base: HttpRouteBase = {
    kind: "raw",
    failure,
    ...(corsOrigins.length > 0 && { cors: { origins: corsOrigins, headers: corsHeaders } }),
  };
  const openapi: RawRoute = {
    ...base,
    method: "GET",
    path: "/openapi.json",
    async serve(exchange): Promise<FastifyReply> {
      if (refuseScope(exchange, "tools:read")) return exchange.reply;
      const { tools } = await catalogs.refresh(exchange.caller, exchange.clients);
      return sendJson(exchange.reply, JSON.stringify(openapiOf(tools, { version, publicUrl: settings.publicUrl })));
    },
  };
  return {
    name: "http",
    identity: { kind: "callers", sanitize, maxOutput },
    routes: [
      createCallRoute(base, { catalogs, refuseScope, answerWithinMs: settings.answerWithinMs }),
      createFindRoute(base, { refuseScope }),
      openapi,
    ],
  };
}

function statusMessage(status: number): string {
  return status === 401 ? "A valid key is needed: send Authorization: Bearer KEY" : "Internal server error";
}
