import { fromJson, toJson, type JsonValue } from "@bufbuild/protobuf";
import { type RegisterToolRequest, RegisterToolRequestSchema } from "../../gen/jackfield/v1/tool_registry_pb.ts";
import { SealError, type Sealer } from "../store/sealer.ts";
import type { RegisteredTool, RegisteredTools } from "./registered-tools.ts";
import { TargetError } from "./target.ts";

/** A tool registered at run time, with its owner. */
export interface Registration {
  /** Tenant that owns the tool. */
  readonly tenant: string;
  /** Name of the caller who registered it. */
  readonly owner: string;
  readonly request: RegisterToolRequest;
}

/** Returns a tool's key in the store. Names contain no slash, so no tenant can write another one's key. */
export function registrationKey(tenant: string, name: string): string {
  return `${tenant}/${name}`;
}

/** Splits a key into tenant and name. */
export function parseRegistrationKey(key: string): { readonly tenant: string; readonly name: string } {
  const slash = key.lastIndexOf("/");
  return { tenant: key.slice(0, Math.max(0, slash)), name: key.slice(slash + 1) };
}

/** Encodes a registration, including its target's headers, sealed for its key. */
export function storedRegistration({ tenant, owner, request }: Registration, sealer: Sealer): RegisteredTool {
  const key = registrationKey(tenant, request.tool?.name ?? "");
  const text = JSON.stringify({ owner, request: toJson(RegisterToolRequestSchema, request) });
  return { key, text: sealer.sealText(text, rowOf(key)) };
}

/**
 * Rewrites stored tools that are plain or sealed with an older key. A tool that cannot be opened stays unchanged.
 * Rejects with a StoreUnavailableError.
 */
export async function resealRegistrations(store: RegisteredTools, sealer: Sealer): Promise<void> {
  for (const { key, text } of (await store.load())?.tools ?? []) {
    if (sealer.isCurrent(text)) continue;
    const row = rowOf(key);
    let plain: Buffer;
    try {
      plain = sealer.openText(text, row);
    } catch {
      continue;
    }
    await store.replace({ key, text: sealer.sealText(plain, row) }, text);
  }
}

function rowOf(key: string): string {
  return JSON.stringify(["registered tool", key]);
}

/** Decodes a stored registration. Throws a TargetError if it is unreadable. */
export function registrationFromStored({ key, text }: RegisteredTool, sealer: Sealer): Registration {
  try {
    const { owner, request } = JSON.parse(sealer.openText(text, rowOf(key)).toString()) as {
      owner: string;
      request: JsonValue;
    };
    return {
      tenant: parseRegistrationKey(key).tenant,
      owner,
      request: fromJson(RegisterToolRequestSchema, request, { ignoreUnknownFields: true }),
    };
  } catch (cause) {
    const why = cause instanceof SealError ? `: ${cause.message}` : "";
    throw new TargetError(`its stored registration cannot be read${why}`, { cause });
  }
}
