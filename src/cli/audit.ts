import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { ConfigError } from "../config/config-error.ts";
import { type AuditVerdict, verifyAudit } from "../telemetry/audit-chain.ts";
import type { CliHost } from "./cli-host.ts";
import { CliError, exit } from "./exit.ts";
import type { AddCommand } from "./session.ts";

/** `jackfield audit`: verifies that the audit log is intact. */
export const addAudit: AddCommand = (program, open) => {
  const audit = program.command("audit").description("Check the audit log.");
  audit
    .command("verify")
    .description("Check that no line of an audit log was changed, added or removed.")
    .argument("[FILE]", "the audit log (default: where the service writes it)")
    .addHelpText(
      "after",
      `
Exit code 2 if it is not intact; the first bad lines are named. Lines are sealed in batches of what came within 10 ms.
Whole batches cut off at the very end leave no trace in the file: compare the last hash with one that you kept elsewhere.

Examples:
  jackfield audit verify
  jackfield audit verify /var/log/jackfield/audit.jsonl --json
`,
    )
    .action(async (given: string | undefined, _options, command) => {
      const session = open(command);
      const file = given ?? defaultFile(session.host);
      const verdict = await verified(resolve(session.host.cwd, file), file, given !== undefined);
      if (session.json) session.print(JSON.stringify(verdict));
      else if (verdict.ok) session.print(`${file}: ${verdict.lines} lines, none changed, added or removed.`);
      if (verdict.ok) return;
      if (!session.json) for (const sentence of problemsOf(verdict)) session.note(`${file}: ${sentence}`);
      session.finish(exit.notOk);
    });
};

function problemsOf({ firstBad, unsealed }: AuditVerdict): string[] {
  const problems: string[] = [];
  if (firstBad !== undefined) {
    const { from, to } = firstBad;
    problems.push(
      from === to
        ? `line ${to} was changed, or lines before it were added or removed.`
        : `one of the lines ${from} to ${to} was changed, or lines in or before them were added or removed.`,
    );
  }
  if (unsealed !== undefined) {
    problems.push(
      `the last ${unsealed} lines are not sealed: the service is writing them now or died while it did, or they were added or cut.`,
    );
  }
  return problems;
}

function defaultFile(host: CliHost): string {
  let file: string;
  try {
    file = host.auditFile();
  } catch (reason) {
    if (!(reason instanceof ConfigError)) throw reason;
    throw new CliError(
      [
        ...reason.problems,
        "The place of the audit log is therefore unknown: name the file, `jackfield audit verify FILE`.",
      ].join("\n"),
    );
  }
  if (file !== "-") return file;
  throw new CliError(
    "The service writes its audit log to stderr: name the file that keeps it, `jackfield audit verify FILE`.",
  );
}

async function verified(path: string, named: string, isGiven: boolean): ReturnType<typeof verifyAudit> {
  try {
    return await verifyAudit(createReadStream(path));
  } catch (reason) {
    const code = reason instanceof Error && "code" in reason ? String(reason.code) : "unknown";
    if (isGiven || code !== "ENOENT") throw new CliError(`The audit log ${named} cannot be read (${code}).`);
    throw new CliError(
      `There is no audit log at ${path}, where the service writes it with this configuration. ` +
        "Run this in the service's folder with its variables (JACKFIELD_CONFIG, JACKFIELD_DATA_DIR, JACKFIELD_AUDIT_FILE), " +
        "or name the file: `jackfield audit verify FILE`.",
    );
  }
}
