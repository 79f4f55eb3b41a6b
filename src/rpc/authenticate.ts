import type { Caller } from "../auth/caller.ts";
import { headerOf, type RequestHead } from "./fast-path/wire-request.ts";

/** Who sent an Authorization header; undefined where it proves nobody. Compares in constant time. */
export type CallerFromAuthorization = (authorization: string | undefined) => Caller | undefined;

/** Who sent a request. More than one Authorization header proves nobody: two proxies may read two different ones. */
export function callerOf(request: RequestHead, callerFrom: CallerFromAuthorization): Caller | undefined {
  const { rawHeaders } = request;
  let found = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length === 13 && name.toLowerCase() === "authorization" && ++found > 1) return undefined;
  }
  return callerFrom(headerOf(request, "authorization"));
}
