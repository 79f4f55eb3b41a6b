import { STATUS_CODES } from "node:http";
import * as oauth from "oauth4webapi";
import type { Secret } from "../secret.ts";
import { DownstreamError } from "./downstream-error.ts";
import type { Answer, Outbound } from "./http.ts";
import { excerpt } from "./redact.ts";
import type { TokenFailure } from "./token-failure.ts";

/** The client that a token is requested for. */
export interface TokenClient {
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: Secret;
  /** Space-separated scopes. */
  readonly scopes: string;
}

/** A token and its lifetime in milliseconds. */
export interface TokenGrant {
  readonly text: string;
  readonly lifetimeMs: number;
}

/** Dependencies of a token request. */
export interface TokenRequestParts {
  readonly send: Outbound["send"];
  /** Receives each secret text of the answer, for redaction. */
  hide(token: string): void;
  readonly timeoutMs: number;
}

/** Secret members of a token endpoint's answer, in JSON or form encoding, even if it is truncated or malformed. */
const secretMember =
  /\b(?:access_token|refresh_token|id_token|client_secret)["']?\s*[:=]\s*(?:"((?:[^"\\]|\\.)*)"?|([^\s"'&,;}]+))/g;

/** Returns the secret texts in a token endpoint's answer, both as they are written and as JSON decodes them. */
export function secretsIn(answer: string): string[] {
  const texts = [...answer.matchAll(secretMember)].flatMap(([, quoted, bare]) =>
    quoted === undefined ? [bare ?? ""] : [quoted, unescaped(quoted)],
  );
  return [...new Set(texts)].filter((text) => text.length > 0);
}

function unescaped(text: string): string {
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    return text;
  }
}

/** Assumed lifetime of a token in seconds, if the endpoint gives none, or not as a number. */
const unknownLifetime = 300;

/** Requests a token by client credentials, once. Rejects with a TokenRefusedError. */
export async function requestToken(
  client: TokenClient,
  { send, hide, timeoutMs }: TokenRequestParts,
): Promise<TokenGrant> {
  const { tokenUrl, clientId, scopes } = client;
  const secret = client.clientSecret.reveal();
  // Genesys expects the pair unencoded. Form-encoding it first, as RFC 6749 requires, would break ids and secrets with
  // a "-".
  const basic = Buffer.from(`${clientId}:${secret}`).toString("base64");
  const server = { issuer: tokenUrl, token_endpoint: tokenUrl };
  const party = { client_id: clientId };
  let answer: Answer | undefined;
  let secrets: readonly string[] = [];
  try {
    const origin = new URL(tokenUrl).origin;
    const grant = await oauth.clientCredentialsGrantRequest(
      server,
      party,
      (_server, _party, _body, headers) => headers.set("authorization", `Basic ${basic}`),
      scopes === "" ? {} : { scope: scopes },
      {
        // The operator configured the URL, and a sandbox on loopback has no certificate.
        [oauth.allowInsecureRequests]: true,
        [oauth.customFetch]: async (url, { headers, body }) => {
          const signal = AbortSignal.timeout(timeoutMs);
          const request = { method: "POST", headers, body: String(body) } as const;
          answer = await send(url, request, { signal, configuredOrigins: new Set([origin]) });
          // Collected first, because any later error may quote them.
          secrets = secretsIn(answer.text());
          for (const text of secrets) hide(text);
          return new Response(lenient(answer));
        },
      },
    );
    const granted = await oauth.processClientCredentialsResponse(server, party, grant);
    return { text: granted.access_token, lifetimeMs: (granted.expires_in ?? unknownLifetime) * 1000 };
  } catch (cause) {
    throw new TokenRefusedError(failureFrom(answer, cause, [secret, basic, ...secrets]), cause);
  }
}

/** A failed token request, before it is described in a platform's terms. */
export class TokenRefusedError extends Error {
  readonly failure: TokenFailure;

  constructor(failure: TokenFailure, cause: unknown) {
    super("no token", { cause });
    this.failure = failure;
  }
}

/**
 * Repairs common mistakes of endpoints in the answer: unrequested tokens, a missing type, and a lifetime that is text,
 * negative or not a number.
 */
function lenient(answer: Answer): string {
  if (answer.status !== 200) throw new Error("the token endpoint answered with a status other than 200");
  // Tokens of other kinds are not used, so their validity does not matter.
  const body = Object(answer.json()) as Record<string, unknown>;
  const { expires_in: stated, id_token: _, refresh_token: __, ...rest } = body;
  const seconds = typeof stated === "number" || (typeof stated === "string" && stated.trim()) ? Number(stated) : NaN;
  return JSON.stringify({
    token_type: "Bearer",
    ...rest,
    expires_in: Number.isFinite(seconds) ? Math.max(0, seconds) : unknownLifetime,
  });
}

function failureFrom(answer: Answer | undefined, cause: unknown, secrets: readonly string[]): TokenFailure {
  const retryAfter = answer?.headers["retry-after"];
  if (answer !== undefined && answer.status !== 200) {
    const body = excerpt(answer.text(), secrets) || (STATUS_CODES[answer.status] ?? "");
    return { status: answer.status, body, retryAfter };
  }
  return {
    status: undefined,
    body: answer === undefined ? reasonOf(cause) : "the answer contains no token",
    retryAfter,
  };
}

function reasonOf(cause: unknown): string {
  if (cause instanceof DownstreamError) return cause.message;
  if (cause instanceof Error && cause.name === "TimeoutError") return "the token endpoint did not answer in time";
  return "the token request could not be made";
}
