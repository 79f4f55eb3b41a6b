import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["@jackfield/source"] },
  ssr: { resolve: { conditions: ["@jackfield/source"], externalConditions: ["source"] } },
  test: {
    include: ["test/**/*.test.ts", "plugins/*/*.test.ts"],
    pool: "forks",
    testTimeout: 20_000,
    hookTimeout: 30_000,
    execArgv: ["--conditions=@jackfield/source"],
  },
});
