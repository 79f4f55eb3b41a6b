import * as Type from "typebox";
import { closed, integer } from "./schema-parts.ts";

const hours = (maximum: number, description: string) =>
  Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum, description }));

/** Retention of calls. */
export const ledger = Type.Object(
  {
    windowHours: hours(8760, "How long a call is remembered, in hours."),
    uncertainHours: hours(
      87_600,
      "How long a call with an unknown effect is kept, in hours; seven windows by default.",
    ),
    readEntries: integer(
      0,
      10_000_000,
      "Number of ended calls that are kept in memory: the answers of `read` calls, and the ids of others.",
    ),
  },
  closed,
);

/** Encryption keys of stored values. */
export const encryption = Type.Object(
  {
    keys: Type.Optional(
      Type.Array(
        Type.Object(
          {
            id: Type.String({
              minLength: 1,
              description: "Stored beside each value. Never reuse it for another secret.",
            }),
            secret: Type.String({ minLength: 1, description: "32 random bytes in base64 or hex." }),
          },
          closed,
        ),
        { minItems: 1, description: "The first one encrypts, all decrypt." },
      ),
    ),
    lostKeys: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        description: "Ids of keys that are lost permanently: the service is ready without them.",
      }),
    ),
  },
  { ...closed, description: "Encrypt stored calls, jobs and registered tools." },
);

/** Retention of jobs. */
export const jobs = Type.Object(
  { deadHours: hours(87_600, "How long a dead job is kept, in hours; seven windows by default.") },
  closed,
);
