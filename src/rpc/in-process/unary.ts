import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { Front } from "../front.ts";
import type { RpcCall, UnaryMethod } from "../rpc-call.ts";

/** Runs a unary method for a call that has begun, as every call from outside is run. Rejects with a ConnectError. */
export async function invokeUnary(
  spec: UnaryMethod,
  input: Parameters<typeof create>[1],
  call: RpcCall,
  front: Front,
): Promise<MessageShape<DescMessage>> {
  try {
    front.admit(call);
    const output = call.invoke(spec, create(spec.method.input, input));
    const message = output instanceof Promise ? await output : output;
    front.end(call);
    return message;
  } catch (reason) {
    throw front.end(call, { reason });
  }
}
