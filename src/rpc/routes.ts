import type { ConnectRouter, ServiceImplSpec } from "@connectrpc/connect";

/** Registers every method of the services with a Connect router. */
export function createRoutes(services: readonly ServiceImplSpec[]): (router: ConnectRouter) => void {
  return (router) => {
    for (const { methods } of services) {
      for (const spec of Object.values(methods)) {
        // Each kind on its own: only then do descriptor and function belong together for the type checker.
        switch (spec.kind) {
          case "unary":
            router.rpc(spec.method, spec.impl);
            break;
          case "server_streaming":
            router.rpc(spec.method, spec.impl);
            break;
          case "client_streaming":
            router.rpc(spec.method, spec.impl);
            break;
          case "bidi_streaming":
            router.rpc(spec.method, spec.impl);
            break;
        }
      }
    }
  };
}
