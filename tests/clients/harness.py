"""What the client tests share: counted checks, a program under test, and an
upstream that records what it receives."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = re.compile(r"\[[A-Z][A-Z_]{1,24}_[0-9A-HJKMNP-TV-Z]{8}\]")


class Checks:
    """Counts what holds and what does not, and says which."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def that(self, what, holds, otherwise=""):
        if holds:
            self.passed += 1
            print(f"ok      {what}")
        else:
            self.failed += 1
            print(f"FAILED  {what}" + (f": {otherwise}" if otherwise else ""))

    def section(self, name, run, *args):
        """Runs a group of checks; what breaks it off counts as one failure."""
        try:
            run(*args)
        except Exception as error:  # the other groups still have something to say
            self.that(name, False, f"{type(error).__name__}: {error}")

    def close(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)


class Program:
    """`privet …` as a child process, with the addresses that it prints."""

    def __init__(self, binary, *args, env=None, names=("gateway", "admin")):
        self.process = subprocess.Popen(
            [binary, *args],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self.addresses = {}
        self.lines = []
        deadline = threading.Timer(60, self.process.kill)
        deadline.start()
        while not all(name in self.addresses for name in names):
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(f"privet {args[0]} ended with {self.process.wait()} before it said its addresses")
            self.lines.append(line.rstrip("\n"))
            if found := re.match(r"([a-z ]+): (https?://\S+)", line):
                self.addresses[found[1]] = found[2].rstrip("/")
        deadline.cancel()

    def next_line(self):
        self.lines.append(self.process.stdout.readline().rstrip("\n"))
        return self.lines[-1]

    def stop(self):
        """SIGTERM, and the exit code; -9 where it had to be killed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()


class Recorder(ThreadingHTTPServer):
    """An upstream of the OpenAI format. It keeps every byte it receives and
    answers with the text it was sent, cut into small pieces."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def take(self):
        """What arrived since the last time."""
        taken, self.requests = self.requests, []
        return taken


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.requests.append(f"{self.requestline}\n{self.headers}".encode())
        self.reply({"object": "list", "data": [{"id": "m-1", "object": "model", "created": 1, "owned_by": "x"}]})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(f"{self.requestline}\n{self.headers}".encode() + body)
        asked = json.loads(body)
        if self.path.endswith("/embeddings"):
            vector = {"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}
            self.reply({"object": "list", "data": [vector], "model": "m-1", "usage": {"prompt_tokens": 1, "total_tokens": 1}})
            return
        said = last_text(asked["messages"])
        if said.startswith("FAIL "):
            self.reply({"error": {"message": f"cannot use {said[5:]}", "type": "invalid_request_error"}}, 400)
        elif asked.get("stream"):
            self.stream(asked, said)
        else:
            choices = [self.choice(i, asked, said) for i in range(asked.get("n") or 1)]
            self.reply({"id": "c-1", "object": "chat.completion", "created": 1, "model": "m-1", "choices": choices, "usage": USAGE})

    def choice(self, index, asked, said):
        message = {"role": "assistant", "content": f"{index}: {said}", "refusal": None}
        finish = "stop"
        if asked.get("tools"):
            call = {"id": "call_1", "type": "function", "function": {"name": "write_to", "arguments": arguments(said)}}
            message.update(content=None, tool_calls=[call])
            finish = "tool_calls"
        return {"index": index, "message": message, "logprobs": None, "finish_reason": finish}

    def stream(self, asked, said):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        indices = range(asked.get("n") or 1)
        for i in indices:
            self.event(i, {"role": "assistant", "content": None if asked.get("tools") else ""})
        if asked.get("tools"):
            start = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "write_to", "arguments": ""}}
            self.event(0, {"tool_calls": [start]})
            for piece in cut(arguments(said), 0):
                self.event(0, {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        else:
            queues = [cut(f"{i}: {said}", i) for i in indices]
            while any(queues):
                for i in indices:
                    if queues[i]:
                        self.event(i, {"content": queues[i].pop(0)})
        for i in indices:
            self.event(i, {}, "tool_calls" if asked.get("tools") else "stop")
        if (asked.get("stream_options") or {}).get("include_usage"):
            self.data(json.dumps({**CHUNK, "choices": [], "usage": USAGE}))
        self.data("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def event(self, index, delta, finish=None):
        self.data(json.dumps({**CHUNK, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}))
        time.sleep(0.002)

    def data(self, text):
        event = f"data: {text}\n\n".encode()
        self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
        self.wfile.flush()

    def reply(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


USAGE = {"prompt_tokens": 7, "completion_tokens": 11, "total_tokens": 18}
CHUNK = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m-1"}


def last_text(messages):
    content = messages[-1]["content"]
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in content)
    return content


def arguments(said):
    return json.dumps({"text": said, "urgent": True})


def cut(text, index):
    """Pieces of one to seven characters, cut elsewhere for each choice."""
    out, at, step = [], 0, index
    while at < len(text):
        step = step % 7 + 1
        out.append(text[at : at + step])
        at += step
    return out
