import type { KeyedCaller } from "./caller-settings.ts";
import type { OauthConfig } from "./config.ts";
import type { Environment } from "./environment.ts";
import { checkName } from "./keys.ts";
import type { FileConfig } from "./schema.ts";
import { httpUrl } from "./values.ts";

/** Reads the accepted token issuers. */
export function oauthFrom(
  environment: Environment,
  file: FileConfig,
  callers: readonly KeyedCaller[],
  /** Sources that adapters act as, with which a token's caller must not be confused. */
  reserved: readonly string[],
): readonly OauthConfig[] {
  const names = new Set(callers.map(({ caller }) => caller.name));
  const issuers = new Set<string>();
  return (file.oauth ?? []).flatMap((entry, index) => {
    const where = `oauth[${index}]`;
    checkName(entry.name, `${where}.name`, environment);
    if (names.has(entry.name) || reserved.includes(entry.name))
      environment.problem(`${where}.name must be unique; found ${JSON.stringify(entry.name)} in use.`);
    if (issuers.has(entry.issuer))
      environment.problem(`${where}.issuer must differ from the others; found ${JSON.stringify(entry.issuer)} twice.`);
    names.add(entry.name);
    issuers.add(entry.issuer);
    // The issuer is compared verbatim: a trailing slash matters.
    const issuer = httpUrl(environment, { key: `${where}.issuer`, text: entry.issuer });
    const resource = httpUrl(environment, { key: `${where}.resource`, text: entry.resource });
    const jwksUrl =
      entry.jwksUrl === undefined ? undefined : httpUrl(environment, { key: `${where}.jwksUrl`, text: entry.jwksUrl });
    if (issuer === undefined || resource === undefined) return [];
    return [
      {
        name: entry.name,
        issuer: entry.issuer,
        jwksUrl,
        resource: entry.resource,
        audiences: entry.audiences ?? [entry.resource],
        scopeClaims: entry.scopeClaims ?? ["scope", "scp", "roles"],
        scopes: entry.scopes,
        tenant: entry.tenant ?? "default",
        tools: entry.tools,
      },
    ];
  });
}
