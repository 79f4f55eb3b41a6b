import type { Door } from "../door.ts";
import { mcp } from "./mcp.ts";
import { cognigy, genesysGateway, genesysWorker, http } from "./platforms.ts";
import { register } from "./register.ts";
import { connectJson, grpc } from "./rpc.ts";

/** All entry points of the service. */
export const doors: readonly Door[] = [cognigy, genesysGateway, genesysWorker, http, mcp, connectJson, grpc, register];
