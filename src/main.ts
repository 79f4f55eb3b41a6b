import { enableCompileCache } from "node:module";

// Before all else is loaded: what was compiled at one start is there at the next, which then takes two thirds of the time.
enableCompileCache();
const { run } = await import("./program.ts");
await run();
