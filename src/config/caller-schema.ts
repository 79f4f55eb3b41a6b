import * as Type from "typebox";
import { closed, integer, text, texts } from "./schema-parts.ts";
import { allScopes } from "./scope.ts";

const scopeNames = Type.Array(Type.Unsafe<(typeof allScopes)[number]>({ type: "string", enum: [...allScopes] }), {
  description: "What it may do.",
});

/** One issuer of tokens. */
export const oauth = Type.Object(
  {
    name: Type.String({ minLength: 1, description: "Callers are NAME:SUBJECT." }),
    issuer: Type.String({ minLength: 1, description: "Issuer of the tokens, exactly as in their iss." }),
    jwksUrl: text("Where its keys are; as its metadata says when left out."),
    resource: Type.String({ minLength: 1, description: "The address that clients ask a token for." }),
    audiences: texts("Values of aud that are taken; the resource when left out."),
    scopeClaims: texts("Claims that hold scopes; scope, scp and roles when left out."),
    scopes: Type.Optional(
      Type.Record(Type.String(), scopeNames, {
        description: "What each scope of the issuer lets a caller do; equal names when left out.",
      }),
    ),
    tenant: text("Tenant; `default` when left out."),
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
      description: "Secrets that sign; of standard-webhooks whsec_ and base64. Several may live.",
    }),
    replayWindowS: integer(
      1,
      86_400,
      "Greatest difference between webhook-timestamp and our clock, in seconds; 300 when left out.",
    ),
  },
  { ...closed, description: "How its requests are signed. With keys, a request needs both." },
);

/** One caller. */
export const caller = Type.Object(
  {
    name: Type.String({ minLength: 1, description: "Source of its calls." }),
    tenant: text("Tenant; `default` when left out."),
    keys: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        minItems: 1,
        description: "Keys that prove it; several may live.",
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
            description: "RPCs per second that this process takes from it; more are refused with resource_exhausted.",
          }),
          burst: integer(1, 1_000_000, "RPCs that may come at once; as many as per second when left out."),
        },
        closed,
      ),
    ),
  },
  closed,
);
