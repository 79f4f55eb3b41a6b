import * as fc from "fast-check";

/** Pieces of JSON text, and texts that are often mistaken for it. */
export const pieces: readonly string[] = [
  ["{", "}", "[", "]", ":", ",", '"', "\\", "'", " ", "\n", "\t", "\u0000", "\ufeff", "\u2028", "//", "/*", "*/"],
  ["0", "00", "-", "-0", "+1", "1.", ".5", "1e", "1E+2", "1e400", "0x10", "9007199254740993", "NaN", "Infinity"],
  ["true", "True", "null", "nul", "undefined", '"a"', '"\\u00"', '"\\ud800"', '"\\x41"', '"a\tb"', "é", "😀", "{}"],
].flat();

const piece = fc.nat({ max: pieces.length - 1 }).map((index) => pieces[index] ?? "");

/** A text with one piece inserted, removed or doubled. */
export function damaged(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(text, fc.nat(), fc.nat({ max: 3 }), piece).map(([whole, seed, length, put]) => {
    const at = seed % (whole.length + 1);
    return whole.slice(0, at) + put + whole.slice(at + length);
  });
}

/** Texts that are almost JSON. */
export const nearlyJson: fc.Arbitrary<string> = fc.oneof(
  damaged(fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value))),
  fc.array(piece, { maxLength: 8 }).map((parts) => parts.join("")),
);

/** Returns nested objects. */
export function nested(levels: number): string {
  return `${'{"a":'.repeat(levels - 1)}{}${"}".repeat(levels - 1)}`;
}

/** Texts of arguments that every entry point refuses: name, text, part of the reason. */
export const refusedArguments: readonly (readonly [string, string, RegExp])[] = [
  ["33 levels", nested(33), /nested/],
  ["100 levels", nested(100), /nested/],
  ["100,000 levels of lists", `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, /nested/],
  ["20,000 levels of objects", nested(20_000), /nested/],
  ["__proto__", '{"__proto__":{"polluted":1}}', /__proto__/],
  ["an escaped __proto__", '{"\\u005f_proto__":{"polluted":1}}', /__proto__/],
  ["__proto__ deep inside", '{"a":[{"b":{"__proto__":1}}]}', /__proto__/],
  ["constructor.prototype", '{"constructor":{"prototype":{"x":1}}}', /constructor/],
  ["1e400", '{"a":1e400}', /2\^53/],
  ["-1e400", '{"a":[-1e400]}', /2\^53/],
  ["2^53", '{"a":9007199254740992}', /2\^53/],
  ["20 digits", '{"a":12345678901234567890}', /2\^53/],
  ["a list", "[]", /must be object/],
  ["null", "null", /must be object/],
  ["a number", "1", /must be object/],
  ["text in text", '"{}"', /must be object/],
  ["an open brace", "{", /Invalid JSON in arguments for echo/],
  ["spaces", "  ", /Invalid JSON in arguments for echo/],
  ["too many bytes", JSON.stringify({ a: "x".repeat(262_200) }), /262144/],
];

/** Members and items whose cost grows when there are many: marks to be sorted, escapes, digits, names. */
const units = [
  '"k":1,',
  "1,",
  '"",',
  "[],",
  "{},",
  '{"a":{}},',
  '{"":[[]]},',
  "0.1,",
  "1e5,",
  "-0,",
  "123456789012345678901234567890,",
  '"\\u005f",',
  '"\\ud83d\\ude00",',
  '"é",',
  '"\u0315\u0300",',
  "true,",
  "null,",
];

const characters = [
  "a",
  " ",
  "\\n",
  "\\u0000",
  "\\\\",
  '\\"',
  "é",
  "😀",
  "\u0345",
  "\u0301",
  "e\u0301\u0323",
  "\u200d",
  "\u202e",
  "\\ud800",
  "9",
  "/",
  "~1",
  "%",
  "<",
  "ﷺ",
  "ß",
  "\u1100\u1161",
  "İ",
];

const many = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 50 }) },
  { weight: 2, arbitrary: fc.integer({ min: 50, max: 5000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 5000, max: 130_000 }) },
);

/** Large values as JSON text: one unit repeatedly, at most about 250,000 characters. */
const large: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(fc.constantFrom(...units), many).map(([unit, times]) => {
    const inside = unit.repeat(Math.min(times, Math.floor(250_000 / unit.length))).slice(0, -1);
    return unit.startsWith('"k"') ? `{${inside}}` : `[${inside}]`;
  }),
  fc.tuple(fc.constantFrom(...characters), fc.constantFrom(...characters), many).map(([first, second, times]) => {
    const count = Math.min(times, Math.floor(250_000 / (first.length + second.length)));
    return `"${first.repeat(count)}${second.repeat(count)}"`;
  }),
  fc.tuple(many, fc.constantFrom(...characters.filter((one) => one !== "\\ud800"))).map(([times, character]) => {
    const count = Math.min(times, 20_000);
    return `{${Array.from({ length: count }, (_, index) => `"${character}${index}":${index}`).join(",")}}`;
  }),
  fc.tuple(many, fc.constantFrom("[", '{"a":', '[{"":')).map(([times, open]) => {
    const levels = Math.min(times, 40_000);
    return `${open.repeat(levels)}1${(open.startsWith("[{") ? "}]" : open === "[" ? "]" : "}").repeat(levels)}`;
  }),
);

/** JSON text of any value, valid or almost valid, small or large. */
export const jsonText: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.stringify(value)) },
  { weight: 2, arbitrary: nearlyJson },
  { weight: 1, arbitrary: fc.constantFrom(...refusedArguments.map(([, text]) => text)) },
  { weight: 2, arbitrary: large },
);
