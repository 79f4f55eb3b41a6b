/**
 * Instruments the code that Ajv generates for a schema, so that it reports its steps and errors to `self.meter`: at the
 * start of the function and of each loop iteration the number of operations in its body, and every error.
 *
 * DANGER: the patterns match the code generator of the pinned version of Ajv. The tests fail if they no longer do.
 */
export function meterCode(code: string): string {
  const { text, strings } = withoutStrings(code);
  const reported = text
    .replaceAll(/vErrors\.push\((err\d+)\);\}errors\+\+;/g, "vErrors.push($1);}errors++;meter.report($1, errors);")
    .replaceAll(
      /vErrors === null \? ([\w.]+)\.errors : vErrors\.concat\(\1\.errors\)/g,
      "meter.join(vErrors, $1.errors)",
    )
    .replaceAll(/\bObject\.(keys|assign)\(/g, "meter.$1(")
    .replaceAll(/([\w$]+)\.replace\(\/~\/g, "\d+"\)\.replace\(\/\\\/\/g, "\d+"\)/g, "meter.escape($1)");
  const counted = countBodies(reported);
  return `const meter = self.meter;${counted}`.replaceAll(
    /"(\d+)"/g,
    (_, index: string) => strings[Number(index)] ?? "",
  );
}

/** Replaces every string literal by its number, so that the content of strings is not mistaken for code. */
function withoutStrings(code: string): { text: string; strings: string[] } {
  const strings: string[] = [];
  const text = code.replaceAll(/"(?:[^"\\]|\\.)*"/gs, (literal) => `"${strings.push(literal) - 1}"`);
  return { text, strings };
}

/** The start or end of a block, and the counted operations: conditions, their parts, and calls. */
const token = /\bfor\s*\(|\bfunction\b|\bif\s*\(|\|\||&&|\.call\(|\bvalidate\d*\(|\] = true|[(){}]/g;

/** Cost of entering a body, and of each operation in it. */
const stepsPerTurn = 10;
const stepsPerOperation = 3;

/** Cost of marking a property as evaluated, in operations: it adds a property to an object. */
const operationsPerMark = 20;

interface Block {
  /** Position of the counter in a metered body; undefined for other blocks. */
  readonly at: number | undefined;
  operations: number;
}

function countBodies(code: string): string {
  const counts: { at: number; operations: number }[] = [];
  const blocks: Block[] = [];
  const bodies: Block[] = [];
  let parentheses = 0;
  // Parenthesis depths at which the header of a loop or function ends; the next block is its body.
  const headers: number[] = [];
  let isBodyNext = false;
  for (const { 0: found, index } of code.matchAll(token)) {
    if (found === "{") {
      if (isBodyNext) {
        const body: Block = { at: index + 1, operations: 0 };
        blocks.push(body);
        bodies.push(body);
        isBodyNext = false;
      } else blocks.push({ at: undefined, operations: 0 });
    } else if (found === "}") {
      const block = blocks.pop();
      if (block?.at !== undefined) {
        counts.push({ at: block.at, operations: block.operations });
        bodies.pop();
      }
    } else if (found === ")") {
      parentheses--;
      if (headers.at(-1) === parentheses) {
        headers.pop();
        isBodyNext = true;
      }
    } else {
      const body = bodies.at(-1);
      if (found === "function") headers.push(parentheses);
      else if (found.startsWith("for")) headers.push(parentheses);
      else if (body !== undefined && found !== "(") body.operations += found === "] = true" ? operationsPerMark : 1;
      if (found.endsWith("(")) parentheses++;
    }
  }
  counts.sort((a, b) => a.at - b.at);
  let result = "";
  let end = 0;
  for (const { at, operations } of counts) {
    result += `${code.slice(end, at)}if((meter.left -= ${stepsPerTurn + operations * stepsPerOperation}) < 0)meter.fail();`;
    end = at;
  }
  return result + code.slice(end);
}
