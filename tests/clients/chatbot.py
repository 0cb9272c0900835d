"""A chatbot that speaks what the vendors' clients speak: chat completions,
responses, Anthropic messages, Ollama, and JSON of its own. It keeps every byte it
receives and answers with the text it was sent, cut into small pieces. What it
sends is made by the vendors' own types."""

import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic.types
import openai.types
import openai.types.chat
import openai.types.responses
from ollama import ChatResponse, GenerateResponse
from pydantic import TypeAdapter

# What nobody may touch, and the client sends back as it came.
THINKING, SIGNATURE = "They want to be written to.", "c2lnbmF0dXJl/+8="


class Chatbot(ThreadingHTTPServer):
    """Files of `folder` are served to browsers."""

    daemon_threads = True

    def __init__(self, folder=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.folder = folder
        self.requests = []
        # What was said in a response, for those that go on from it.
        self.history = {}
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
        file = self.server.folder and os.path.join(self.server.folder, os.path.basename(self.path.split("?")[0]))
        if file and os.path.isfile(file):
            with open(file, "rb") as opened:
                return self.send(opened.read(), "text/html" if file.endswith(".html") else "text/javascript")
        if self.server.folder:
            return self.send(b"", "text/plain", 404)
        self.server.requests.append(f"{self.requestline}\n{self.headers}".encode())
        model = openai.types.Model(id="m-1", object="model", created=1, owned_by="x")
        self.reply({"object": "list", "data": [model.model_dump()]})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(f"{self.requestline}\n{self.headers}".encode() + body)
        asked, path = json.loads(body), self.path.split("?")[0]
        answers = {
            "/v1/chat/completions": self.chat,
            "/v1/embeddings": self.embeddings,
            "/v1/responses": self.respond,
            "/v1/messages": self.messages,
            "/v1/messages/count_tokens": lambda _: self.reply({"input_tokens": 7}),
            "/api/chat": self.ollama_chat,
            "/api/generate": self.ollama_generate,
            "/api/embed": lambda _: self.reply({"model": "m-1", "embeddings": [[0.5, 0.25]]}),
            "/bot": self.bot,
        }
        answers[path](asked)

    # Chat completions.

    def embeddings(self, _):
        vector = {"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}
        self.reply({"object": "list", "data": [vector], "model": "m-1", "usage": {"prompt_tokens": 1, "total_tokens": 1}})

    def chat(self, asked):
        said = last_text(asked["messages"])
        if said.startswith("FAIL "):
            return self.reply({"error": {"message": f"cannot use {said[5:]}", "type": "invalid_request_error"}}, 400)
        if asked.get("stream"):
            return self.chat_stream(asked, said)
        choices = [self.choice(i, asked, said) for i in range(asked.get("n") or 1)]
        reply = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "m-1", "choices": choices, "usage": USAGE}
        self.reply(openai.types.chat.ChatCompletion.model_validate(reply).model_dump(exclude_unset=True))

    def choice(self, index, asked, said):
        message = {"role": "assistant", "content": f"{index}: {said}", "refusal": None}
        finish = "stop"
        if asked.get("tools"):
            call = {"id": "call_1", "type": "function", "function": {"name": "write_to", "arguments": arguments(said)}}
            message.update(content=None, tool_calls=[call])
            finish = "tool_calls"
        return {"index": index, "message": message, "logprobs": None, "finish_reason": finish}

    def chat_stream(self, asked, said):
        def event(index, delta, finish=None):
            chunk = {**CHUNK, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}
            self.event(openai.types.chat.ChatCompletionChunk.model_validate(chunk))

        self.start("text/event-stream")
        indices = range(asked.get("n") or 1)
        for i in indices:
            event(i, {"role": "assistant", "content": None if asked.get("tools") else ""})
        if asked.get("tools"):
            start = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "write_to", "arguments": ""}}
            event(0, {"tool_calls": [start]})
            for piece in cut(arguments(said), 0):
                event(0, {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        else:
            queues = [cut(f"{i}: {said}", i) for i in indices]
            while any(queues):
                for i in indices:
                    if queues[i]:
                        event(i, {"content": queues[i].pop(0)})
        for i in indices:
            event(i, {}, "tool_calls" if asked.get("tools") else "stop")
        if (asked.get("stream_options") or {}).get("include_usage"):
            self.data(f"data: {json.dumps({**CHUNK, 'choices': [], 'usage': USAGE})}\n\n")
        self.data("data: [DONE]\n\n")
        self.end()

    # Responses.

    def respond(self, asked):
        said = asked["input"] if isinstance(asked["input"], str) else last_text(asked["input"])
        if before := self.server.history.get(asked.get("previous_response_id")):
            said = f"{before} / {said}"
        number = f"resp_{len(self.server.history) + 1}"
        self.server.history[number] = said
        message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                   "content": [{"type": "output_text", "text": said, "annotations": []}]}
        call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "write_to", "arguments": arguments(said), "status": "completed"}
        item = call if asked.get("tools") else message
        whole = {"id": number, "object": "response", "created_at": 1, "model": "m-1", "status": "completed", "output": [item],
                 "instructions": asked.get("instructions"), "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        if not asked.get("stream"):
            return self.reply(openai.types.responses.Response.model_validate(whole).model_dump(exclude_unset=True))
        begun = {**whole, "status": "in_progress", "output": []}
        part = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
        events = [("created", {"response": begun}), ("in_progress", {"response": begun})]
        if asked.get("tools"):
            part = {"output_index": 0, "item_id": "fc_1"}
            events += [("output_item.added", {"output_index": 0, "item": {**call, "arguments": "", "status": "in_progress"}})]
            events += [("function_call_arguments.delta", {**part, "delta": piece}) for piece in cut(call["arguments"], 0)]
            events += [("function_call_arguments.done", {**part, "name": "write_to", "arguments": call["arguments"]})]
        else:
            text = message["content"][0]
            events += [("output_item.added", {"output_index": 0, "item": {**message, "status": "in_progress", "content": []}})]
            events += [("content_part.added", {**part, "part": {**text, "text": ""}})]
            events += [("output_text.delta", {**part, "delta": piece, "logprobs": []}) for piece in cut(said, 0)]
            events += [("output_text.done", {**part, "text": said, "logprobs": []}), ("content_part.done", {**part, "part": text})]
        events += [("output_item.done", {"output_index": 0, "item": item}), ("completed", {"response": whole})]
        self.start("text/event-stream")
        kind = TypeAdapter(openai.types.responses.ResponseStreamEvent)
        for count, (name, members) in enumerate(events):
            event = kind.validate_python({"type": f"response.{name}", "sequence_number": count, **members})
            self.event(event, f"response.{name}")
        self.end()

    # Anthropic messages.

    def messages(self, asked):
        said = last_text(asked["messages"])
        if isinstance(asked.get("system"), str):
            said = f"{asked['system']} / {said}"
        content = [{"type": "text", "text": said}]
        if asked.get("thinking"):
            content.insert(0, {"type": "thinking", "thinking": THINKING, "signature": SIGNATURE})
        if asked.get("tools"):
            content.append({"type": "tool_use", "id": "toolu_1", "name": "write_to", "input": {"text": said, "urgent": True}})
        usage = {"input_tokens": 7, "output_tokens": 11}
        whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m-1", "content": content, "stop_reason": "end_turn",
                 "stop_sequence": None, "usage": usage}
        if not asked.get("stream"):
            return self.reply(anthropic.types.Message.model_validate(whole).model_dump(exclude_unset=True))
        events = [{"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}}]
        for index, block in enumerate(content):
            empty, deltas = {
                "text": ({"text": ""}, [{"type": "text_delta", "text": piece} for piece in cut(said, index)]),
                "thinking": ({"thinking": "", "signature": ""}, [{"type": "thinking_delta", "thinking": THINKING}, {"type": "signature_delta", "signature": SIGNATURE}]),
                "tool_use": ({"input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *cut(arguments(said), index)]]),
            }[block["type"]]
            events.append({"type": "content_block_start", "index": index, "content_block": {**block, **empty}})
            events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", "index": index})
        events += [{"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 11}}]
        events += [{"type": "message_stop"}]
        self.start("text/event-stream")
        kind = TypeAdapter(anthropic.types.RawMessageStreamEvent)
        for event in events:
            self.event(kind.validate_python(event), event["type"])
        self.end()

    # Ollama.

    def ollama_chat(self, asked):
        said = last_text(asked["messages"])

        def line(content, done=False, **more):
            message = {"role": "assistant", "content": content, **more}
            return ChatResponse(model="m-1", created_at="2026-01-01T00:00:00Z", message=message, done=done)

        if asked.get("stream") is False:
            return self.reply(line(said, True).model_dump(exclude_none=True))
        call = {"tool_calls": [{"function": {"name": "write_to", "arguments": {"text": said, "urgent": True}}}]}
        self.lines([*map(line, cut(said, 0)), *([line("", **call)] if asked.get("tools") else []), line("", True)])

    def ollama_generate(self, asked):
        said = asked["prompt"]

        def line(text, done=False):
            return GenerateResponse(model="m-1", created_at="2026-01-01T00:00:00Z", response=text, done=done)

        if asked.get("stream") is False:
            return self.reply(line(said, True).model_dump(exclude_none=True))
        self.lines([*map(line, cut(said, 0)), line("", True)])

    def lines(self, lines):
        self.start("application/x-ndjson")
        for line in lines:
            self.data(line.model_dump_json(exclude_none=True) + "\n")
            time.sleep(0.002)
        self.end()

    # A chatbot that nobody knows: what `deep-chat` speaks to a server of one's own.

    def bot(self, asked):
        self.start("text/event-stream")
        for piece in cut(f"You said: {asked['messages'][-1]['text']}", 0):
            self.data(f"data: {json.dumps({'text': piece})}\n\n")
            time.sleep(0.02)
        self.end()

    # The wire.

    def start(self, content_type):
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def event(self, value, name=None):
        head = f"event: {name}\n" if name else ""
        self.data(f"{head}data: {value.model_dump_json(exclude_unset=True)}\n\n")
        time.sleep(0.002)

    def data(self, text):
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def end(self):
        self.wfile.write(b"0\r\n\r\n")

    def reply(self, value, status=200):
        self.send(json.dumps(value).encode(), "application/json", status)

    def send(self, body, content_type, status=200):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
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
