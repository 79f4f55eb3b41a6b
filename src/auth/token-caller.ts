import type { OauthConfig } from "../config/config.ts";
import { grantedScopes, type Scope } from "../config/scope.ts";
import type { Caller } from "./caller.ts";

/** The caller that the tokens of an issuer's subject stand for, with what is configured for all of them. */
export function tokenCaller({ name, tenant, tools }: OauthConfig, subject: string, scopes: readonly Scope[]): Caller {
  return { name: `${name}:${subject}`, tenant, scopes: grantedScopes(scopes), tools };
}
