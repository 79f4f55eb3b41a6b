import type { Answer } from "./http.ts";
import type { PreparedRequest } from "./prepare.ts";

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const mostHops = 5;

/**
 * Follows at most 5 redirects of a GET or HEAD within its own origin. Every other redirect is returned as the answer it is:
 * credentials in headers of any name would go along to another origin.
 */
export async function followRedirects(
  first: PreparedRequest,
  transmit: (request: PreparedRequest) => Promise<Answer>,
): Promise<Answer> {
  let request = first;
  for (let hops = 0; ; hops += 1) {
    const answer = await transmit(request);
    const next = hops < mostHops ? nextUrl(request, answer) : undefined;
    if (next === undefined) return answer;
    request = { ...request, url: next };
  }
}

function nextUrl({ method, url }: PreparedRequest, { status, headers }: Answer): URL | undefined {
  if (!redirects.has(status) || (method !== "GET" && method !== "HEAD") || !headers["location"]) return undefined;
  const next = URL.parse(headers["location"], url);
  return next?.origin === url.origin ? next : undefined;
}
