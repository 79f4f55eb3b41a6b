import { fromJson, toJson, type JsonValue } from "@bufbuild/protobuf";
import { type RegisterToolRequest, RegisterToolRequestSchema } from "../../gen/jackfield/v1/tool_registry_pb.ts";
import type { RegisteredTool } from "./registered-tools.ts";
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

/** A registration as it is stored. */
export function storedRegistration({ tenant, owner, request }: Registration): RegisteredTool {
  const key = registrationKey(tenant, request.tool?.name ?? "");
  return { key, text: JSON.stringify({ owner, request: toJson(RegisterToolRequestSchema, request) }) };
}

/** The registration that is stored. Throws a TargetError where it cannot be read. */
export function registrationFromStored({ key, text }: RegisteredTool): Registration {
  try {
    const { owner, request } = JSON.parse(text) as { owner: string; request: JsonValue };
    return {
      tenant: parseRegistrationKey(key).tenant,
      owner,
      request: fromJson(RegisterToolRequestSchema, request, { ignoreUnknownFields: true }),
    };
  } catch (cause) {
    throw new TargetError("its stored registration cannot be read", { cause });
  }
}
