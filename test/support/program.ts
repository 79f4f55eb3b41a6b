import { join } from "node:path";

const root = join(import.meta.dirname, "../..");
const installed = process.env["JACKFIELD_TEST_INSTALL"];

/**
 * The arguments of `node` that start the program under test: its source, or the package in the folder
 * JACKFIELD_TEST_INSTALL, where the tarballs of `npm run release` are installed.
 */
export const program: readonly string[] =
  installed === undefined
    ? ["--conditions=@jackfield/source", join(root, "src/main.ts")]
    : [join(installed, "node_modules/jackfield/bin/jackfield.js")];
