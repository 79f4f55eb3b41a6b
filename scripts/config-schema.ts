import { writeFileSync } from "node:fs";
import { fileSchema } from "../src/config/schema.ts";

// Writes the JSON Schema that ships with the package; a test fails while it is older than src/config/schema.ts.
writeFileSync(new URL("../config.schema.json", import.meta.url), `${JSON.stringify(fileSchema, undefined, 2)}\n`);
