// The minimal start: Fastify with Connect and one compiled schema.
import "./connect-fastify.ts";
