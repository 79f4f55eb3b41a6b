import { enableCompileCache } from "node:module";
import { compileCacheFolder } from "./config/compile-cache.ts";

// Before everything else is loaded: the next start finds what this one compiled, and takes two thirds of the time.
const cache = compileCacheFolder({ env: process.env, cwd: process.cwd(), create: process.argv[2] === "serve" });
if (cache !== undefined) enableCompileCache(cache);
const { run } = await import("./program.ts");
await run();
