import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { type AuditVerdict, verifyAudit } from "../telemetry/audit-chain.ts";
import { CliError, exit } from "./exit.ts";
import type { AddCommand } from "./session.ts";

/** `jackfield audit`: verifies that the audit log is intact. */
export const addAudit: AddCommand = (program, open) => {
  const audit = program.command("audit").description("Check the audit log.");
  audit
    .command("verify")
    .description("Check that no line of an audit log was changed, added or removed.")
    .argument("[FILE]", "the audit log", ".data/audit.jsonl")
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
    .action(async (file: string, _options, command) => {
      const session = open(command);
      const verdict = await verified(resolve(session.host.cwd, file), file);
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

async function verified(path: string, named: string): ReturnType<typeof verifyAudit> {
  try {
    return await verifyAudit(createReadStream(path));
  } catch (reason) {
    const code = reason instanceof Error && "code" in reason ? String(reason.code) : "unknown";
    throw new CliError(`The audit log ${named} cannot be read (${code}).`);
  }
}
