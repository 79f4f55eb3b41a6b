import { join } from "node:path";

const root = join(import.meta.dirname, "../..");
const installed = process.env["JACKFIELD_TEST_INSTALL"];

/**
 * What follows `node` to start the program under test: its source, or the package in the folder that
 * JACKFIELD_TEST_INSTALL names, where the tarballs of `npm run release` are installed.
 */
export const program: readonly string[] =
  installed === undefined
    ? ["--conditions=@jackfield/source", join(root, "src/main.ts")]
    : [join(installed, "node_modules/jackfield/bin/jackfield.js")];
