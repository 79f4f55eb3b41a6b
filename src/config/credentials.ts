import { Secret } from "../secret.ts";
import type { CredentialConfig } from "./config.ts";
import type { Environment } from "./environment.ts";
import type { FileConfig } from "./schema.ts";
import { httpUrl } from "./values.ts";

type CredentialEntry = NonNullable<FileConfig["credentials"]>[string];

/** Reads the credentials that tools' settings may refer to. */
export function credentialsFrom(
  environment: Environment,
  file: FileConfig,
  reserved: readonly string[],
): Readonly<Record<string, CredentialConfig>> {
  const found: Record<string, CredentialConfig> = {};
  for (const [name, entry] of Object.entries(file.credentials ?? {})) {
    const where = `credentials.${name}`;
    if (reserved.includes(name)) {
      environment.problem(`${where} must have a unique name; found one that comes from adapters.${name}.`);
    }
    const credential = credentialFrom(environment, where, entry);
    if (credential !== undefined) found[name] = credential;
  }
  return found;
}

function credentialFrom(environment: Environment, where: string, entry: CredentialEntry): CredentialConfig | undefined {
  const kinds = Object.keys(entry);
  const { bearer, basic, header, oauth } = entry;
  if (kinds.length !== 1) {
    environment.problem(`${where} must contain exactly one of bearer, basic, header and oauth; found ${kinds.length}.`);
    return undefined;
  }
  if (bearer !== undefined) return { kind: "bearer", token: new Secret(bearer) };
  if (basic !== undefined) return { kind: "basic", username: basic.username, password: new Secret(basic.password) };
  if (header !== undefined) return { kind: "header", name: header.name, value: new Secret(header.value) };
  if (oauth === undefined) return undefined;
  const tokenUrl = httpUrl(environment, { key: `${where}.oauth.tokenUrl`, text: oauth.tokenUrl });
  if (tokenUrl === undefined) return undefined;
  const { clientId, clientSecret, scopes = [] } = oauth;
  return { kind: "oauth", tokenUrl, clientId, clientSecret: new Secret(clientSecret), scopes };
}
