import { STATUS_CODES } from "node:http";
import * as oauth from "oauth4webapi";
import type { Secret } from "../secret.ts";
import { DownstreamError } from "./downstream-error.ts";
import type { Answer, Outbound } from "./http.ts";
import { excerpt } from "./redact.ts";
import type { TokenFailure } from "./token-failure.ts";

/** Whose token is asked for. */
export interface TokenClient {
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: Secret;
  /** Separated by spaces. */
  readonly scopes: string;
}

/** A token and how long it holds, in milliseconds. */
export interface TokenGrant {
  readonly text: string;
  readonly lifetimeMs: number;
}

/** What a token is asked for with. */
export interface TokenRequestParts {
  readonly send: Outbound["send"];
  /** Gets each text of the answer that nobody else may see. */
  hide(token: string): void;
  readonly timeoutMs: number;
}

/** Members of a token endpoint's answer that are secret, in JSON or as a form, also where it is cut or malformed. */
const secretMember =
  /\b(?:access_token|refresh_token|id_token|client_secret)["']?\s*[:=]\s*(?:"((?:[^"\\]|\\.)*)"?|([^\s"'&,;}]+))/g;

/** The secret texts of a token endpoint's answer, as they stand there and as JSON reads them. */
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

/** Seconds that a token is taken to hold where the endpoint does not say, or not in a number. */
const unknownLifetime = 300;

/**
 * Asks the token endpoint for a token by client credentials, once. Rejects with a TokenRefusedError.
 */
export async function requestToken(
  client: TokenClient,
  { send, hide, timeoutMs }: TokenRequestParts,
): Promise<TokenGrant> {
  const { tokenUrl, clientId, scopes } = client;
  const secret = client.clientSecret.reveal();
  // Genesys reads the pair as it is: form-encoding it first, as RFC 6749 has it, would break ids and secrets with a "-".
  const basic = Buffer.from(`${clientId}:${secret}`).toString("base64");
  const server = { issuer: tokenUrl, token_endpoint: tokenUrl };
  const party = { client_id: clientId };
  let answer: Answer | undefined;
  let held: readonly string[] = [];
  try {
    const origin = new URL(tokenUrl).origin;
    const grant = await oauth.clientCredentialsGrantRequest(
      server,
      party,
      (_server, _party, _body, headers) => headers.set("authorization", `Basic ${basic}`),
      scopes === "" ? {} : { scope: scopes },
      {
        // The URL is the operator's own; a sandbox on loopback has no certificate.
        [oauth.allowInsecureRequests]: true,
        [oauth.customFetch]: async (url, { headers, body }) => {
          const signal = AbortSignal.timeout(timeoutMs);
          const request = { method: "POST", headers, body: String(body) } as const;
          answer = await send(url, request, { signal, configuredOrigins: new Set([origin]) });
          // Before anything is done with it: whatever goes wrong from here on may quote it.
          held = secretsIn(answer.text());
          for (const text of held) hide(text);
          return new Response(lenient(answer));
        },
      },
    );
    const granted = await oauth.processClientCredentialsResponse(server, party, grant);
    return { text: granted.access_token, lifetimeMs: (granted.expires_in ?? unknownLifetime) * 1000 };
  } catch (cause) {
    throw new TokenRefusedError(failureFrom(answer, cause, [secret, basic, ...held]), cause);
  }
}

/** A token request that failed, not yet in a platform's words. */
export class TokenRefusedError extends Error {
  readonly failure: TokenFailure;

  constructor(failure: TokenFailure, cause: unknown) {
    super("no token", { cause });
    this.failure = failure;
  }
}

/** The answer with what endpoints get wrong put right: tokens nobody asked for, a missing type, a lifetime that is a text, negative or no number. */
function lenient(answer: Answer): string {
  if (answer.status !== 200) throw new Error("the token endpoint answered with another status than 200");
  // Tokens of another kind are not used, so it does not matter whether they are good.
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
  return { status: undefined, body: answer === undefined ? reasonOf(cause) : "the answer holds no token", retryAfter };
}

function reasonOf(cause: unknown): string {
  if (cause instanceof DownstreamError) return cause.message;
  if (cause instanceof Error && cause.name === "TimeoutError") return "the token endpoint did not answer in time";
  return "the token request could not be made";
}
