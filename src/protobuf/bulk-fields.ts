import type { DescField, DescMessage, JsonObject, MessageShape } from "@bufbuild/protobuf";

/**
 * The fields of a message type that may hold any number of messages. protobuf-es creates one for each value of a Struct
 * and each item of a list, and takes 250 ms for a megabyte of empty ones. The skeleton of a message is a message of the
 * same type in which its Structs are empty, because they are read apart, as the JSON that they stand for; its Values
 * are null, because no request has one that is used; its lists are cut.
 */
export interface BulkFields {
  readonly fields: readonly BulkField[];
  /** Numbers of all fields of the type. Others are dropped from the binary form, as unknown names are from JSON. */
  readonly numbers: ReadonlySet<number>;
}

/** A field of messages. Lists of Structs or Values, and maps, are left to protobuf-es: no request has any. */
export interface BulkField {
  readonly field: DescField;
  readonly content: "struct" | "value" | "message" | "messages";
  /** Its names in JSON. */
  readonly names: readonly string[];
  /** Numbers of the other fields of its oneof. One that comes later takes its place. */
  readonly rivals: readonly number[];
  /** The fields of its own type, if its content is messages. */
  readonly nested: BulkFields;
}

/** How a skeleton is made. */
export interface SkeletonLimits {
  /** Maximum nesting depth of messages, as in the options of protobuf-es. */
  readonly recursionLimit: number;
  /** A list of messages is cut after one item more than this, so that its reader still refuses it. */
  readonly maxItems: number;
}

const known = new WeakMap<DescMessage, BulkFields>();
const none: BulkFields = { fields: [], numbers: new Set() };

/** Returns the bulk fields of a message type. */
export function bulkFieldsOf(desc: DescMessage): BulkFields {
  const found = known.get(desc);
  if (found !== undefined) return found;
  const fields: BulkField[] = [];
  const all: BulkFields = { fields, numbers: new Set(desc.fields.map(({ number }) => number)) };
  // Before the fields themselves: a type may contain itself.
  known.set(desc, all);
  for (const field of desc.fields) {
    const content = contentOf(field);
    if (content === undefined) continue;
    const nested = content === "struct" || content === "value" ? none : bulkFieldsOf(field.message as DescMessage);
    const names = [...new Set([field.jsonName, field.name])];
    const rivals = (field.oneof?.fields ?? []).filter((other) => other !== field).map(({ number }) => number);
    fields.push({ field, content, names, rivals, nested });
  }
  return all;
}

function contentOf({ message, fieldKind }: DescField): BulkField["content"] | undefined {
  if (message === undefined || fieldKind === "map") return undefined;
  if (!message.typeName.startsWith("google.protobuf.")) return fieldKind === "list" ? "messages" : "message";
  if (fieldKind === "list") return undefined;
  if (message.typeName === "google.protobuf.Struct") return "struct";
  return message.typeName === "google.protobuf.Value" ? "value" : undefined;
}

/**
 * Puts the Structs into a decoded skeleton, in the order in which they were taken: by field, in the order of the
 * descriptors. Throws if there are too few.
 */
export function putStructs(
  { fields }: BulkFields,
  message: MessageShape<DescMessage>,
  structs: Iterator<JsonObject>,
): void {
  for (const { field, content, nested } of fields) {
    const holder = holderOf(message, field);
    const value = holder?.[field.oneof === undefined ? field.localName : "value"];
    if (holder === undefined || value === undefined) continue;
    if (content === "message") putStructs(nested, value as MessageShape<DescMessage>, structs);
    else if (content === "messages") {
      for (const item of value as MessageShape<DescMessage>[]) putStructs(nested, item, structs);
    } else if (content === "struct") {
      const { value: struct, done } = structs.next();
      if (done === true) throw new Error(`cannot decode ${String(field)}`);
      holder[field.oneof === undefined ? field.localName : "value"] = struct;
    }
  }
}

/** Returns the object that has a field's value: the message itself, or the oneof if the field is the chosen one. */
function holderOf(message: MessageShape<DescMessage>, { oneof, localName }: DescField): Members | undefined {
  const members = message as unknown as Members;
  if (oneof === undefined) return members;
  const choice = members[oneof.localName] as Members;
  return choice["case"] === localName ? choice : undefined;
}

type Members = Record<string, unknown>;
