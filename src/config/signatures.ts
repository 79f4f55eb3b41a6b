import type { Static } from "typebox";
import { Secret } from "../secret.ts";
import type { signature } from "./caller-schema.ts";
import type { KeyedCaller, SignatureSettings } from "./caller-settings.ts";
import type { Environment } from "./environment.ts";

/** What the file says of a signature. */
export type SignatureEntry = Static<typeof signature>;

/** Difference between two clocks that is taken where the file does not say, in seconds. Source: Standard Webhooks. */
const defaultReplayWindowS = 300;

/** Shortest secret of Standard Webhooks, in bytes: a shorter one could be guessed from what it signs. */
const minSecretBytes = 16;

/** Secrets of callers without a key, over all: each costs a digest of the body before it is known who sent it. */
const maxKeylessSecrets = 16;

/** Reads how requests are signed. Problems show no secret. */
export function signatureFrom(environment: Environment, where: string, entry: SignatureEntry): SignatureSettings {
  const { scheme, secrets, replayWindowS } = entry;
  if (new Set(secrets).size < secrets.length) {
    environment.problem(`${where}.secrets must differ from each other; found one twice.`);
  }
  if (scheme === "hub" && replayWindowS !== undefined) {
    environment.problem(
      `${where}.replayWindowS must be left out with scheme hub, whose requests hold no time; found it set.`,
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

/** The bytes that sign: of Standard Webhooks what the base64 after `whsec_` stands for, else the text itself. */
export function secretBytes(scheme: SignatureSettings["scheme"], secret: string): Buffer {
  return scheme === "hub" ? Buffer.from(secret) : Buffer.from(withoutPrefix(secret), "base64");
}

function checkSecret(environment: Environment, where: string, secret: string): void {
  const text = withoutPrefix(secret);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) {
    environment.problem(`${where} must be whsec_ and base64; found a text that is none.`);
    return;
  }
  const { length } = Buffer.from(text, "base64");
  if (length < minSecretBytes) {
    environment.problem(`${where} must hold at least ${minSecretBytes} bytes, better 24; found ${length}.`);
  }
}

function withoutPrefix(secret: string): string {
  return secret.startsWith("whsec_") ? secret.slice(6) : secret;
}

/** Checks the signatures of all callers together: a request that only a signature proves must have one caller. */
export function checkCallerSignatures(environment: Environment, callers: readonly KeyedCaller[]): void {
  const owners = new Map<string, string>();
  let keyless = 0;
  for (const { caller, keys, signature } of callers) {
    for (const secret of signature?.secrets ?? []) {
      const owner = owners.get(secret.reveal());
      if (owner !== undefined && owner !== caller.name) {
        environment.problem(
          `callers must sign with secrets of their own; found one of ${JSON.stringify(owner)} at ${JSON.stringify(caller.name)}.`,
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
