import { fromJson, toJson, type JsonValue } from "@bufbuild/protobuf";
import { type RegisterToolRequest, RegisterToolRequestSchema } from "../../gen/jackfield/v1/tool_registry_pb.ts";
import { SealError, type Sealer } from "../store/sealer.ts";
import type { RegisteredTool, RegisteredTools } from "./registered-tools.ts";
import { TargetError } from "./target.ts";

/** A tool registered at run time, with its owner. */
export interface Registration {
  /** Tenant that the tool belongs to. */
  readonly tenant: string;
  /** Name of the caller who registered it. */
  readonly owner: string;
  readonly request: RegisterToolRequest;
}

/** The key of a tool in the store. Names hold no slash, so that no tenant can write another one's key. */
export function registrationKey(tenant: string, name: string): string {
  return `${tenant}/${name}`;
}

/** Tenant and name of a stored tool. */
export function parseRegistrationKey(key: string): { readonly tenant: string; readonly name: string } {
  const slash = key.lastIndexOf("/");
  return { tenant: key.slice(0, Math.max(0, slash)), name: key.slice(slash + 1) };
}

/** A registration as it is stored: sealed for its key, with the headers of its target. */
export function storedRegistration({ tenant, owner, request }: Registration, sealer: Sealer): RegisteredTool {
  const key = registrationKey(tenant, request.tool?.name ?? "");
  const text = JSON.stringify({ owner, request: toJson(RegisterToolRequestSchema, request) });
  return { key, text: sealer.sealText(text, rowOf(key)) };
}

/**
 * Writes stored tools anew that the sealer would write otherwise: plain ones, and those of an older key. A tool that cannot
 * be opened stays as it is. Rejects with a StoreUnavailableError.
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

/** The registration that is stored. Throws a TargetError where it cannot be read. */
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
