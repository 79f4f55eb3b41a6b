import * as Type from "typebox";
import { closed, integer, text, texts } from "./schema-parts.ts";
import { allScopes } from "./scope.ts";

const scopeNames = Type.Array(Type.Unsafe<(typeof allScopes)[number]>({ type: "string", enum: [...allScopes] }), {
  description: "Scopes that it has.",
});

/** One issuer of tokens. */
export const oauth = Type.Object(
  {
    name: Type.String({ minLength: 1, description: "Callers are NAME:SUBJECT." }),
    issuer: Type.String({ minLength: 1, description: "Issuer of the tokens, exactly as in their iss." }),
    jwksUrl: text("URL of its keys; taken from its metadata by default."),
    resource: Type.String({ minLength: 1, description: "The resource URL that clients request a token for." }),
    audiences: texts("Accepted values of aud; the resource by default."),
    scopeClaims: texts("Claims that contain scopes; scope, scp and roles by default."),
    scopes: Type.Optional(
      Type.Record(Type.String(), scopeNames, {
        description: "Maps the issuer's scopes to scopes of callers; equal names by default.",
      }),
    ),
    tenant: text("Tenant; `default` if not set."),
    tools: texts("Patterns of the tools its callers may use and see, such as get_*."),
  },
  closed,
);

/** How requests are signed. */
export const signature = Type.Object(
  {
    scheme: Type.Unsafe<"hub" | "standard-webhooks">({
      type: "string",
      enum: ["hub", "standard-webhooks"],
      description: "hub: X-Hub-Signature-256. standard-webhooks: webhook-id, webhook-timestamp, webhook-signature.",
    }),
    secrets: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      maxItems: 4,
      description: "Signing secrets; for standard-webhooks, whsec_ and base64. Several may be valid.",
    }),
    replayWindowS: integer(
      1,
      86_400,
      "Maximum difference between webhook-timestamp and our clock, in seconds; 300 by default.",
    ),
  },
  { ...closed, description: "How its requests are signed. If keys are configured too, a request needs both." },
);

/** One caller. */
export const caller = Type.Object(
  {
    name: Type.String({ minLength: 1, description: "Source of its calls." }),
    tenant: text("Tenant; `default` if not set."),
    keys: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        minItems: 1,
        description: "Its keys; several may be valid.",
      }),
    ),
    signature: Type.Optional(signature),
    scopes: Type.Optional(scopeNames),
    tools: texts("Patterns of the tools it may use and see, such as get_*."),
    rateLimit: Type.Optional(
      Type.Object(
        {
          requestsPerSecond: Type.Number({
            exclusiveMinimum: 0,
            maximum: 1_000_000,
            description: "RPCs per second that this process accepts from it; more are refused with resource_exhausted.",
          }),
          burst: integer(1, 1_000_000, "Maximum burst of RPCs; equal to the rate by default."),
        },
        closed,
      ),
    ),
  },
  closed,
);
