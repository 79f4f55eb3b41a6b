import { create, type DescField, type DescMessage, type MessageInitShape, ScalarType } from "@bufbuild/protobuf";
import * as fc from "fast-check";

const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  // Longer than one byte of length can express, and longer than the buffer.
  fc.integer({ min: 120, max: 140 }).map((size) => "x".repeat(size)),
  fc.constantFrom("é".repeat(9000), "\ud800 alone"),
);

/** Any value of a field, including zero values and numbers at the limits. */
function valueOf(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.message !== undefined) {
    const isPlainObject =
      field.message.typeName === "google.protobuf.Struct" && field.parent.typeName !== "google.protobuf.Value";
    return isPlainObject ? fc.dictionary(fc.string(), fc.jsonValue()) : messageOf(field.message, depth - 1);
  }
  if (field.enum !== undefined) return fc.constantFrom(...field.enum.values.map(({ number }) => number), 4711, -1);
  switch (field.scalar) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.DOUBLE:
      return fc.oneof(fc.double(), fc.constant(-0));
    case ScalarType.INT64:
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case ScalarType.BYTES:
      return fc.uint8Array();
    default:
      return fc.oneof(fc.integer({ min: field.scalar === ScalarType.UINT32 ? 0 : -(2 ** 31) }), fc.nat(300));
  }
}

/** Messages of a type: any of its fields set, nested at most `depth` deep. */
export function messageOf(desc: DescMessage, depth: number): fc.Arbitrary<unknown> {
  if (depth < 0) return fc.constant(create(desc));
  const members: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of desc.fields) {
    if (field.oneof !== undefined) continue;
    const value = valueOf(field, depth);
    if (field.fieldKind === "list") members[field.localName] = fc.array(value, { maxLength: 3 });
    else if (field.fieldKind === "map") members[field.localName] = fc.dictionary(text, value, { maxKeys: 3 });
    else members[field.localName] = value;
  }
  for (const oneof of desc.oneofs) {
    members[oneof.localName] = fc.oneof(
      ...oneof.fields.map((field) => fc.record({ case: fc.constant(field.localName), value: valueOf(field, depth) })),
    );
  }
  return fc
    .record(members, { requiredKeys: [] })
    .map((init) => create(desc, init as MessageInitShape<typeof desc>) as unknown);
}
