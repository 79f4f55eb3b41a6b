import type { OauthConfig } from "../config/config.ts";
import { grantedScopes, type Scope } from "../config/scope.ts";
import type { Caller } from "./caller.ts";

/** Returns the caller for the tokens of an issuer's subject, with the settings that apply to all of them. */
export function tokenCaller({ name, tenant, tools }: OauthConfig, subject: string, scopes: readonly Scope[]): Caller {
  return { name: `${name}:${subject}`, tenant, scopes: grantedScopes(scopes), tools };
}
