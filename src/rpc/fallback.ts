import { createConnectRouter } from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { callerOf } from "./authenticate.ts";
import { CallValues } from "./call-values.ts";
import { binaryReadOptions, jsonReadOptions, strictJsonDecoder } from "./fast-path/codec.ts";
import { createRpcGuard, createInterceptor, kPreflightError, stripInvalidTimeout } from "./interceptors.ts";
import { refuseMethod } from "./refuse-method.ts";
import { createRoutes } from "./routes.ts";
import { maxTimeoutMs } from "./timeout.ts";
import { compressions, type WireParts } from "./fast-path/fast-path.ts";
import { headerOf, pathOf, writeHead, type WireListener } from "./fast-path/wire-request.ts";

/**
 * The long way, through Connect's own handlers: streams, and whatever else the unary lane leaves. In place of
 * `connectNodeAdapter`, because that one writes to the console and answers an unknown method without a body.
 */
export function createStockLane(parts: WireParts): WireListener {
  const { telemetry } = parts;
  const jsonOptions = { ...jsonReadOptions, textDecoder: strictJsonDecoder };
  const router = createConnectRouter({
    acceptCompression: compressions,
    readMaxBytes: parts.readMaxBytes,
    requireConnectProtocolHeader: false,
    jsonOptions,
    binaryOptions: binaryReadOptions,
    maxTimeoutMs,
    requestGate: createRpcGuard(),
    interceptors: [createInterceptor(telemetry)],
    ...(parts.shutdownSignal === undefined ? {} : { shutdownSignal: parts.shutdownSignal }),
  });
  createRoutes(parts.services)(router);
  const known = new Map(router.handlers.map((each) => [each.requestPath, each]));

  return (request, response) => {
    const answer = known.get(pathOf(request));
    if (answer === undefined) return refuseMethod(request, response);
    const trace = telemetry.extract(headerOf(request, "traceparent"), headerOf(request, "tracestate"));
    const values = new CallValues(callerOf(request, parts.callerFrom), trace);
    let universal;
    try {
      universal = universalRequestFromNodeRequest(request, response, undefined, values);
    } catch {
      // The request names no host, or a path that is no URL.
      writeHead(response, 400, {});
      response.end();
      return;
    }
    values.set(kPreflightError, stripInvalidTimeout(universal.header));
    answer(universal)
      .then((answered) => universalResponseToNodeResponse(answered, response))
      .catch((reason: unknown) => {
        telemetry.log.debug({ err: reason, rpc: answer.method.name }, "an answer could not be written");
        response.destroy();
      });
  };
}
