// Runs in the worker thread of trial-compiler.ts: compiles schemas and reports their problems.
import { parentPort } from "node:worker_threads";
import type { JsonSchema } from "../plugin/tool.ts";
import { compileSchema } from "./compile-schema.ts";

parentPort?.on("message", (schema: JsonSchema) => {
  try {
    compileSchema(schema);
    parentPort?.postMessage({ kind: "compiled" }, []);
  } catch (error) {
    parentPort?.postMessage({ kind: "refused", reason: error instanceof Error ? error.message : String(error) }, []);
  }
});
parentPort?.postMessage({ kind: "ready" }, []);
