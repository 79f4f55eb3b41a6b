import type { FastifyInstance } from "fastify";
import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../auth/caller.ts";
import { anthropicTools } from "../definitions/anthropic.ts";
import { mcpTools } from "../definitions/mcp.ts";
import { definitionFormats, isDefinitionFormat } from "../definitions/names.ts";
import type { DefinitionFormat } from "../definitions/names.ts";
import { openaiTools } from "../definitions/openai.ts";
import { requireScope } from "./bearer.ts";
import type { Access, Callers } from "./bearer.ts";
import { HttpError } from "./http-error.ts";
import type { Readiness } from "../app/readiness.ts";

/** Dependencies of the operator's routes. */
export interface OperatorParts extends Access {
  readonly readiness: Readiness;
  /** Metadata from which clients learn where to obtain a token (RFC 9728). Undefined if tokens are not accepted. */
  readonly protectedResource?: object | undefined;
  /** Returns the metrics in the Prometheus text format. */
  prometheus(): Promise<string>;
  /** Returns the tools that the caller may see. */
  tools(caller: Caller): readonly Tool[];
}

const definitions: Record<DefinitionFormat, (tools: readonly Tool[]) => readonly object[]> = {
  openai: openaiTools,
  anthropic: anthropicTools,
  mcp: mcpTools,
};

/**
 * Adds `/healthz`, `/readyz`, `/metrics`, `/tools` and, if tokens are accepted, the metadata of the protected resource.
 */
export function mountOperatorRoutes(app: FastifyInstance, parts: OperatorParts): void {
  const callers: Callers = new WeakMap();
  app.get("/healthz", () => ({ alive: true }));

  app.get("/readyz", async (_request, reply) => {
    const { ready, problems, notes } = await parts.readiness.report();
    if (ready) return { ready, notes };
    return reply.code(503).send({ ready, faults: problems, notes });
  });

  app.get("/metrics", { onRequest: requireScope(parts, callers, "metrics:read") }, async (_request, reply) => {
    reply.type("text/plain; version=0.0.4; charset=utf-8");
    return parts.prometheus();
  });

  if (parts.protectedResource !== undefined) {
    const metadata = parts.protectedResource;
    // Both forms of RFC 9728, 3.1: with the path of the resource, and without.
    for (const path of ["", "/mcp"]) app.get(`/.well-known/oauth-protected-resource${path}`, () => metadata);
  }

  app.get("/tools", { onRequest: requireScope(parts, callers, "tools:read") }, (request, reply) => {
    const { format = "openai" } = request.query as Record<string, unknown>;
    if (!isDefinitionFormat(format)) throw new HttpError(400, `format must be one of ${definitionFormats.join(", ")}`);
    const caller = callers.get(request);
    reply.send({ tools: caller === undefined ? [] : definitions[format](parts.tools(caller)) });
  });
}
