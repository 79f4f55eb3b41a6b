// What a start costs at least: a bare Fastify with Connect, a schema compiled, and nothing else.
import "./connect-fastify.ts";
