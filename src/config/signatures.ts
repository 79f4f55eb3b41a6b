import type { Static } from "typebox";
import { Secret } from "../secret.ts";
import type { signature } from "./caller-schema.ts";
import type { KeyedCaller, SignatureSettings } from "./caller-settings.ts";
import type { Environment } from "./environment.ts";

/** The settings of a signature in the file. */
export type SignatureEntry = Static<typeof signature>;

/** Default maximum difference between two clocks, in seconds. Source: Standard Webhooks. */
const defaultReplayWindowS = 300;

/** Minimum length of a Standard Webhooks secret in bytes: a shorter one could be guessed from signed messages. */
const minSecretBytes = 16;

/**
 * Maximum number of secrets of callers without a key, in total: each requires a digest of the body to identify the
 * sender.
 */
const maxKeylessSecrets = 16;

/** Reads the settings of a signature. Problems contain no secret. */
export function signatureFrom(environment: Environment, where: string, entry: SignatureEntry): SignatureSettings {
  const { scheme, secrets, replayWindowS } = entry;
  if (new Set(secrets).size < secrets.length) {
    environment.problem(`${where}.secrets must differ from each other; found one twice.`);
  }
  if (scheme === "hub" && replayWindowS !== undefined) {
    environment.problem(
      `${where}.replayWindowS must be left out with scheme hub, whose requests contain no time; found it set.`,
    );
  }
  for (const [index, secret] of secrets.entries()) {
    if (scheme === "standard-webhooks") checkSecret(environment, `${where}.secrets[${index}]`, secret);
  }
  return {
    scheme,
    secrets: secrets.map((secret) => new Secret(secret)),
    replayWindowS: replayWindowS ?? defaultReplayWindowS,
  };
}

/** Returns the signing key: for Standard Webhooks the decoded base64 after `whsec_`, otherwise the text itself. */
export function secretBytes(scheme: SignatureSettings["scheme"], secret: string): Buffer {
  return scheme === "hub" ? Buffer.from(secret) : Buffer.from(withoutPrefix(secret), "base64");
}

function checkSecret(environment: Environment, where: string, secret: string): void {
  const text = withoutPrefix(secret);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) {
    environment.problem(`${where} must be whsec_ and base64; found another text.`);
    return;
  }
  const { length } = Buffer.from(text, "base64");
  if (length < minSecretBytes) {
    environment.problem(`${where} must have at least ${minSecretBytes} bytes, better 24; found ${length}.`);
  }
}

function withoutPrefix(secret: string): string {
  return secret.startsWith("whsec_") ? secret.slice(6) : secret;
}

/** Validates the signatures of all callers together: a signature without a key must identify exactly one caller. */
export function checkCallerSignatures(environment: Environment, callers: readonly KeyedCaller[]): void {
  const owners = new Map<string, string>();
  let keyless = 0;
  for (const { caller, keys, signature } of callers) {
    for (const secret of signature?.secrets ?? []) {
      const owner = owners.get(secret.reveal());
      if (owner !== undefined && owner !== caller.name) {
        environment.problem(
          `callers must sign with different secrets; found one of ${JSON.stringify(owner)} at ${JSON.stringify(caller.name)}.`,
        );
      }
      owners.set(secret.reveal(), caller.name);
      if (keys.length === 0) keyless += 1;
    }
  }
  if (keyless > maxKeylessSecrets) {
    environment.problem(
      `callers without a key must have at most ${maxKeylessSecrets} secrets together, because each is tried at every request; ` +
        `found ${keyless}: give some of them keys too.`,
    );
  }
}
