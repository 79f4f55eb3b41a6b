import { Code, ConnectError } from "@connectrpc/connect";
import type { FastifyReply, FastifyRequest } from "fastify";
import { type Job, JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { withTimeout } from "../timing.ts";
import type { RequestTrace } from "./adapter.ts";
import { retrySeconds, sendFailure, sendReply } from "./replies.ts";
import type { RouteContext } from "./route-context.ts";
import type { AcceptRoute } from "./route.ts";

/** Serves a route of kind `accept`: the platform gets its 202 only after the job is durable. */
export function serveAccept(route: AcceptRoute, context: RouteContext) {
  async function submit(request: FastifyRequest, trace: RequestTrace | undefined): Promise<Job> {
    const { calls, context: callContext } = route.batch(request.body);
    request.about = { run_id: callContext.runId || undefined };
    trace?.set({ "jackfield.run.id": callContext.runId });
    const answered = request.clients.jobs.submitJob(
      {
        $typeName: "jackfield.v1.SubmitJobRequest",
        job: {
          $typeName: "jackfield.v1.Job",
          id: "",
          source: route.source,
          calls,
          context: callContext,
          state: JobState.UNSPECIFIED,
          results: [],
          attempts: 0,
          error: "",
        },
      },
      { contextValues: trace?.values },
    );
    const { job } = await withTimeout(answered, context.times.storeWithinMs, notStoredInTime);
    if (job === undefined) throw new TypeError("the job queue answered without a job");
    trace?.set({ "jackfield.job.id": job.id });
    return job;
  }

  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    if (route.unavailable !== undefined) {
      return sendFailure(reply, route, {
        status: 503,
        message: route.unavailable,
        retryAfter: retrySeconds,
        payload: request.body,
      });
    }
    const trace = context.startTrace(request, route);
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

/** The platform sends the batch again, and the same batch is the same job. */
function notStoredInTime(): ConnectError {
  return new ConnectError("the batch could not be stored in time", Code.Unavailable);
}
