import { defineConfig } from "vitest/config";

const condition = "@jackfield/source";

/** A folder of tarballs, made by `npm run release`: then the packages are tested, and not the sources. */
const packages = process.env["JACKFIELD_TEST_PACKAGES"];

export default defineConfig({
  resolve: { conditions: [condition] },
  ssr: { resolve: { conditions: [condition], externalConditions: [condition] } },
  test: {
    include: packages === undefined ? ["test/**/*.test.ts", "plugins/*/*.test.ts"] : ["test/packages/*.test.ts"],
    exclude: packages === undefined ? ["test/packages/**", "**/node_modules/**"] : [],
    pool: "forks",
    // Mutation tests run the files of a room thousands of times: one process for all files of one change halves the time.
    isolate: process.env["STRYKER_MUTATOR_WORKER"] === undefined,
    // Suites that kill processes and cut networks need a machine's time: in CI a test fails when it fails twice.
    retry: process.env["CI"] === undefined ? 0 : 1,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    execArgv: [`--conditions=${condition}`],
  },
});
