"""A tool for Jackfield in Python: it implements the gRPC service jackfield.v1.ToolPlugin.

Needs grpcio and protobuf, nothing generated: the messages are built from the .proto files at the start.
Prints one line, `listening on HOST:PORT`, when it can be called.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
from concurrent import futures
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf import duration_pb2, struct_pb2  # noqa: F401  (puts google/protobuf/*.proto into the pool)

REPOSITORY = Path(__file__).resolve().parents[2]
SERVICE = "jackfield.v1.ToolPlugin"

HOURS = {
    "berlin": {"weekday": ("09:00", "20:00"), "saturday": ("10:00", "18:00")},
    "london": {"weekday": ("08:30", "19:00"), "saturday": ("09:00", "17:00"), "sunday": ("11:00", "17:00")},
    "zürich": {"weekday": ("09:00", "18:30"), "saturday": ("09:00", "16:00")},
}

TOOL = {
    "name": "lookup_store_hours",
    "description": "Look up when the store of a city is open.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "minLength": 1, "maxLength": 64, "description": "Berlin, London or Zürich."},
            "day": {"type": "string", "enum": ["weekday", "saturday", "sunday"], "description": "weekday if left out."},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
    "effect": "EFFECT_READ",
    "timeout": "5s",
    "version": "1.0.0",
}


def load_messages(descriptors):
    """Adds the project's .proto files to the pool and returns a function from a message's name to its class."""
    pool = descriptor_pool.Default()
    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors).file:
        if not file.name.startswith("google/"):
            pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())

    def message(name):
        descriptor = pool.FindMessageTypeByName(f"jackfield.v1.{name}")
        if hasattr(message_factory, "GetMessageClass"):
            return message_factory.GetMessageClass(descriptor)
        return message_factory.MessageFactory(pool).GetPrototype(descriptor)

    return message


def read_descriptors(path):
    """The compiled .proto files: from a file, or from buf where none is given."""
    if path is not None:
        return Path(path).read_bytes()
    own = REPOSITORY / "node_modules" / ".bin" / "buf"
    buf = str(own) if own.exists() else "buf"
    command = [buf, "build", "--path", "proto/jackfield/v1/tool_plugin.proto", "-o", "-#format=binpb"]
    return subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE).stdout


class StoreHours:
    """The tool: Describe says what it is, Execute does the work."""

    def __init__(self, message):
        self.describe_response = message("DescribeResponse")
        self.execute_response = message("ExecuteResponse")

    def describe(self, _request, _context):
        return json_format.ParseDict({"tool": TOOL}, self.describe_response())

    def execute(self, request, context):
        """Any number of progress events, then one output or one error. The arguments are validated already."""
        arguments = json_format.MessageToDict(request.arguments)
        if request.name != TOOL["name"]:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no tool {request.name}")
        yield self.event({"progress": {"callId": request.call_id, "message": "Reading the opening hours", "fraction": 0.5}})
        city, day = arguments["city"], arguments.get("day", "weekday")
        store = HOURS.get(city.casefold())
        if store is None:
            # An error is words for the model: it can ask the customer for another city.
            yield self.event({"error": f"There is no store in {city}. There are stores in Berlin, London and Zürich."})
            return
        if day not in store:
            yield self.event({"output": {"city": city, "day": day, "open": False}})
            return
        opens, closes = store[day]
        yield self.event({"output": {"city": city, "day": day, "open": True, "opens": opens, "closes": closes}})

    def event(self, content):
        return json_format.ParseDict(content, self.execute_response())


def add_tool(server, message):
    tool = StoreHours(message)
    encode = lambda answer: answer.SerializeToString()  # noqa: E731
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                SERVICE,
                {
                    "Describe": grpc.unary_unary_rpc_method_handler(
                        tool.describe, message("DescribeRequest").FromString, encode
                    ),
                    "Execute": grpc.unary_stream_rpc_method_handler(
                        tool.execute, message("ExecuteRequest").FromString, encode
                    ),
                },
            ),
        )
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "0")), help="0, the default, takes a free one")
    parser.add_argument("--descriptors", help="output of `buf build` or `protoc --descriptor_set_out`")
    options = parser.parse_args()

    message = load_messages(read_descriptors(options.descriptors))
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    add_tool(server, message)
    port = server.add_insecure_port(f"{options.host}:{options.port}")
    server.start()
    print(f"listening on {options.host}:{port}", flush=True)

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    # Calls that run may finish.
    server.stop(grace=10).wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
