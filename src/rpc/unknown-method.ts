import { rpcErrors } from "../errors.ts";
import { headerOf, pathOf, writeHead, endWith, type HttpRequest, type HttpResponse } from "./fast-path/http-request.ts";

/** Answers a call of a method that does not exist, in its own protocol: unimplemented. */
export function answerUnknownMethod(request: HttpRequest, response: HttpResponse): void {
  request.resume();
  const message = rpcErrors.unimplemented[1].replace("{}", () => pathOf(request).slice(1));
  const type = headerOf(request, "content-type") ?? "";
  if (!type.startsWith("application/grpc")) {
    writeHead(response, 404, { "content-type": "application/json" });
    return endWith(response, JSON.stringify({ code: "unimplemented", message }));
  }
  const status = { "grpc-status": "12", "grpc-message": message.replaceAll(/[^ -$&-~]/gu, encodeCharacter) };
  if (type.startsWith("application/grpc-web") || request.httpVersionMajor < 2) {
    writeHead(response, 200, { "content-type": type, ...status });
  } else {
    // DANGER: in headers the status only counts when they end the stream, and Node's response has no way to do that.
    writeHead(response, 200, { "content-type": type });
    response.addTrailers(status);
  }
  response.end();
}

function encodeCharacter(character: string): string {
  return encodeURIComponent(character.toWellFormed());
}
