import { writeFileSync } from "node:fs";
import { platforms } from "../src/adapters/platforms.ts";
import { configFileSchema } from "../src/config/schema.ts";

// Writes the JSON Schema that ships with the package. A test fails if it does not match src/config/schema.ts.
const schema = configFileSchema(platforms);
writeFileSync(new URL("../config.schema.json", import.meta.url), `${JSON.stringify(schema, undefined, 2)}\n`);
