/**
 * Checks of the official suite that do not succeed, by revision and scenario, because the door offers tools only: no
 * prompts, resources, completion, logging, sampling, roots or elicitation. The suite's test fails when one of these begins
 * to succeed, and when any other one does not.
 */
export const notOurs: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  "2026-07-28": {
    // Prompts, resources and completion are not offered.
    caching: [
      "sep-2549-prompts-list-caching-hints",
      "sep-2549-resources-list-caching-hints",
      "sep-2549-resources-templates-list-caching-hints",
    ],
    "completion-complete": ["completion-complete"],
    "prompts-get-embedded-resource": ["prompts-get-embedded-resource"],
    "prompts-get-simple": ["prompts-get-simple"],
    "prompts-get-with-args": ["prompts-get-with-args"],
    "prompts-get-with-image": ["prompts-get-with-image"],
    "prompts-list": ["prompts-list"],
    "resources-list": ["resources-list"],
    "resources-read-binary": ["resources-read-binary"],
    "resources-read-text": ["resources-read-text"],
    "resources-templates-read": ["resources-templates-read"],
    // No tool asks its client for anything: elicitation, sampling, roots.
    "input-required-result-basic-elicitation": ["sep-2322-elicitation-incomplete"],
    "input-required-result-basic-list-roots": ["sep-2322-list-roots-incomplete"],
    "input-required-result-basic-sampling": ["sep-2322-sampling-incomplete"],
    "input-required-result-capability-check": ["sep-2322-respect-client-capabilities"],
    "input-required-result-multi-round": ["sep-2322-multi-round-r1"],
    "input-required-result-multiple-input-requests": ["sep-2322-multiple-inputs-incomplete"],
    "input-required-result-non-tool-request": ["sep-2322-non-tool-incomplete"],
    "input-required-result-request-state": ["sep-2322-request-state-incomplete"],
    "input-required-result-result-type": ["sep-2322-result-type-included"],
    "input-required-result-tampered-state": ["sep-2322-reject-tampered-state"],
    "server-stateless": ["sep-2575-missing-capability-http-400", "sep-2575-server-rejects-undeclared-capability"],
    "tasks-mrtr-composition": ["sep-2663-mrtr-synchronous-before-task-creation"],
    "tasks-mrtr-input": [
      "sep-2663-tasks-get-status-input-required",
      "tasks-mrtr-partial-fulfillment",
      "tasks-mrtr-tasks-update-resumes",
    ],
    // It wants a tool whose task ends in a protocol error. Whatever a tool does here is an answer; a task fails only where its
    // job cannot be executed, which no tool can bring about: late-answers-outages.test.ts has one fail.
    "tasks-lifecycle": ["sep-2663-tasks-get-status-failed"],
    // No tool insists on becoming a task.
    "tasks-required-task-error": ["sep-2663-server-returns-missing-capability-when-required"],
  },
  "2025-11-25": {
    "completion-complete": ["completion-complete"],
    "elicitation-sep1034-defaults": ["elicitation-sep1034-general"],
    "elicitation-sep1330-enums": ["elicitation-sep1330-general"],
    "logging-set-level": ["logging-set-level"],
    "prompts-get-embedded-resource": ["prompts-get-embedded-resource"],
    "prompts-get-simple": ["prompts-get-simple"],
    "prompts-get-with-args": ["prompts-get-with-args"],
    "prompts-get-with-image": ["prompts-get-with-image"],
    "prompts-list": ["prompts-list"],
    "resources-list": ["resources-list"],
    "resources-read-binary": ["resources-read-binary"],
    "resources-read-text": ["resources-read-text"],
    "resources-subscribe": ["resources-subscribe"],
    "resources-templates-read": ["resources-templates-read"],
    "resources-unsubscribe": ["resources-unsubscribe"],
    "tools-call-elicitation": ["tools-call-elicitation"],
    "tools-call-sampling": ["tools-call-sampling"],
    "tools-call-with-logging": ["tools-call-with-logging"],
  },
  "2025-06-18": {
    "completion-complete": ["completion-complete"],
    "logging-set-level": ["logging-set-level"],
    "prompts-get-embedded-resource": ["prompts-get-embedded-resource"],
    "prompts-get-simple": ["prompts-get-simple"],
    "prompts-get-with-args": ["prompts-get-with-args"],
    "prompts-get-with-image": ["prompts-get-with-image"],
    "prompts-list": ["prompts-list"],
    "resources-list": ["resources-list"],
    "resources-read-binary": ["resources-read-binary"],
    "resources-read-text": ["resources-read-text"],
    "resources-subscribe": ["resources-subscribe"],
    "resources-templates-read": ["resources-templates-read"],
    "resources-unsubscribe": ["resources-unsubscribe"],
    "tools-call-elicitation": ["tools-call-elicitation"],
    "tools-call-sampling": ["tools-call-sampling"],
    "tools-call-with-logging": ["tools-call-with-logging"],
  },
};
