import { Code, ConnectError } from "@connectrpc/connect";
import type { FastifyReply, FastifyRequest } from "fastify";
import { type Job, JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { AcceptRoute } from "./adapter.ts";
import { retrySeconds, sendFault, sendReply } from "./fault.ts";
import type { MountedAdapter } from "./mounted.ts";
import { type RequestTrace, traceRequest } from "./request-trace.ts";

/** Serves a route of kind `accept`: the platform is told so only after the job is as durable as the service makes it. */
export function serveAccept(route: AcceptRoute, { host, times }: MountedAdapter) {
  async function submit(request: FastifyRequest, trace: RequestTrace | undefined): Promise<Job> {
    const { calls, context } = route.batch(request.body);
    const answered = host.clientsFor(request.keyName).jobs.submitJob(
      {
        $typeName: "jackfield.v1.SubmitJobRequest",
        job: {
          $typeName: "jackfield.v1.Job",
          id: "",
          source: route.source,
          calls,
          context,
          state: JobState.UNSPECIFIED,
          results: [],
          attempts: 0,
          error: "",
        },
      },
      { contextValues: trace?.values },
    );
    const { job } = await within(answered, times.storeWithinMs);
    if (job === undefined) throw new TypeError("the job queue answered without a job");
    return job;
  }

  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    if (route.refusal !== undefined) {
      return sendFault(reply, route, {
        status: 503,
        message: route.refusal,
        retryAfter: retrySeconds,
        payload: request.body,
      });
    }
    const trace = traceRequest(host.telemetry, request, route);
    try {
      const accepted = route.accepted(await submit(request, trace));
      trace?.end(accepted.status);
      return sendReply(reply, accepted);
    } catch (error) {
      trace?.end(500);
      throw error;
    }
  };
}

/** A store that says nothing may not keep the platform waiting. */
function within<Answer>(answer: Promise<Answer>, ms: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new ConnectError("the batch could not be stored in time", Code.Unavailable)),
      ms,
    );
    const settling =
      <T>(settle: (outcome: T) => void) =>
      (outcome: T): void => {
        clearTimeout(timer);
        settle(outcome);
      };
    answer.then(settling(resolve), settling(reject));
  });
}
