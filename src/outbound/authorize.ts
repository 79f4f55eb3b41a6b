import type { Credential } from "./credential.ts";
import type { Answer } from "./http.ts";
import type { PreparedRequest } from "./prepare.ts";

/**
 * Sends a request with a credential. A 401 is answered by one more attempt with renewed headers: nothing was executed. The
 * credential goes to origins of the tool's own configuration only, and never over headers that the tool sets itself.
 */
export async function transmitAuthorized(
  request: PreparedRequest,
  credential: Credential,
  transmit: (request: PreparedRequest) => Promise<Answer>,
): Promise<Answer> {
  const headers = await credential.headers();
  if (Object.keys(headers).some((name) => Object.hasOwn(request.headers, name))) return transmit(request);
  const first = await transmit(withHeaders(request, headers));
  if (first.status !== 401) return first;
  const renewed = await credential.renew(headers);
  return renewed === undefined ? first : transmit(withHeaders(request, renewed));
}

function withHeaders(request: PreparedRequest, headers: Readonly<Record<string, string>>): PreparedRequest {
  const secrets = Object.values(headers).flatMap((value) => [value, value.replace(/^\w+\s+/, "")]);
  return {
    ...request,
    headers: { ...request.headers, ...headers },
    secrets: [...request.secrets, ...secrets],
  };
}
