import * as Type from "typebox";

// Shorthand for the schema of the configuration file.

export const closed = { additionalProperties: false } as const;
export const day = 86_400_000;
export const mebibyte = 1_048_576;

export const integer = (minimum: number, maximum: number, description: string) =>
  Type.Optional(Type.Integer({ minimum, maximum, description }));
export const flag = (description: string) => Type.Optional(Type.Boolean({ description }));
export const text = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));
export const texts = (description: string) => Type.Optional(Type.Array(Type.String({ minLength: 1 }), { description }));

/** Certificate files for connections to a server. */
export const peerTls = Type.Optional(
  Type.Object(
    {
      ca: text("PEM file: trusted authorities of its certificate, instead of Node's."),
      cert: text("PEM file: our client certificate, if it requires one."),
      key: text("PEM file: the private key of cert."),
    },
    closed,
  ),
);
export const oneOf = <const Values extends readonly string[]>(values: Values, description: string) =>
  Type.Optional(Type.Unsafe<Values[number]>({ type: "string", enum: [...values], description }));
