#!/usr/bin/env python3
"""Calls a tool from Python: client.py [URL] [ORDER]. Needs nothing but the standard library."""

import json
import os
import sys
import urllib.error
import urllib.request


class JackfieldError(Exception):
    """The request was refused, or the service cannot be reached. `code` is the code of the Connect protocol."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


class Jackfield:
    """The unary methods of jackfield.v1, by the Connect protocol with JSON."""

    def __init__(self, url, api_key=None, timeout=30):
        self.url = url.rstrip("/")
        self.api_key = api_key
        self.timeout = timeout

    def request(self, method, message):
        """Calls a method such as `ToolExecutor/ExecuteTool`. Raises a JackfieldError where it is refused."""
        headers = {"Content-Type": "application/json", "Connect-Protocol-Version": "1"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        request = urllib.request.Request(
            f"{self.url}/jackfield.v1.{method}", json.dumps(message).encode(), headers, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            detail = json.load(error)
            raise JackfieldError(detail.get("code", "unknown"), detail.get("message", "")) from None
        except urllib.error.URLError as error:
            raise JackfieldError("unavailable", str(error.reason)) from None

    def execute(self, name, arguments, call_id, conversation_id):
        """Runs a tool. The same id in the same conversation is the same call: repeating it is safe."""
        answer = self.request(
            "ToolExecutor/ExecuteTool",
            {
                "call": {"id": call_id, "name": name, "arguments": arguments},
                "context": {"conversationId": conversation_id},
            },
        )
        return answer["result"]


def main():
    url, order, *_ = [*sys.argv[1:], *["http://127.0.0.1:8080", "ORD-1001"][len(sys.argv) - 1 :]]
    jackfield = Jackfield(url, os.environ.get("JACKFIELD_API_KEY"))
    conversation = f"conversation-{os.getpid()}"
    try:
        for attempt in ["first", "second"]:
            result = jackfield.execute("get_order_status", {"order_id": order}, "order-status-1", conversation)
            # Fields with their default value are left out of the JSON.
            print(f"{attempt}: {result['outcome']} {result['output']} (replayed: {result.get('replayed', False)})")
    except JackfieldError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
