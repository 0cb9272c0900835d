"""The real `openai` package through a running gateway.

    openai_client.py PATH/TO/privet

The upstream records every byte: none of the planted values may reach it, and
the client must get every one of them back."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

import openai
from chatbot import Chatbot
from harness import EMAIL, FORBIDDEN, IBAN, NAME, TEXT, TOKEN, VALUES, Checks, Gateway, Program, headers
from harness import clean as nothing_arrived

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "write_to",
            "description": "Writes to a customer.",
            "parameters": {
                "type": "object",
                "properties": {"text": {"type": "string"}, "urgent": {"type": "boolean"}},
                "required": ["text"],
            },
        },
    }
]

checks = Checks()


def user(content):
    return [{"role": "user", "content": content}]


def clean(recorder, what):
    return nothing_arrived(checks, recorder, what)


def plain(client, recorder):
    raw = client.chat.completions.with_raw_response.create(model="m-1", messages=user(TEXT), user="shop-user")
    answer = raw.parse()
    checks.that("plain: the values are back", answer.choices[0].message.content == f"0: {TEXT}")
    checks.that("plain: usage and finish reason pass", answer.usage.total_tokens == 18 and answer.choices[0].finish_reason == "stop")
    redacted = raw.headers.get("privet-redacted", "")
    for entity in ("person", "email", "phone", "credit_card", "iban", "ip"):
        checks.that(f"plain: Privet-Redacted counts {entity}", re.search(rf"\b{entity}=1\b", redacted), redacted)
    checks.that("plain: there is a request id", raw.headers.get("privet-request-id"))
    arrived = clean(recorder, "plain")
    tokens = TOKEN.findall(arrived)
    checks.that("plain: each value has a token", len(set(tokens)) == len(VALUES), str(tokens))
    checks.that("plain: the client's key arrived", "Bearer sk-test" in arrived)

    client.chat.completions.create(model="m-1", messages=user(TEXT))
    checks.that("again: the same tokens", tokens and TOKEN.findall(clean(recorder, "again"))[-len(VALUES):] == tokens[-len(VALUES):])
    client.chat.completions.create(model="m-1", messages=user(TEXT), extra_headers=headers("customer-2"))
    others = TOKEN.findall(clean(recorder, "another subject"))
    checks.that("another subject: other tokens", others and not set(others) & set(tokens))


def streamed(client, recorder):
    stream = client.chat.completions.create(
        model="m-1", messages=user(TEXT), stream=True, stream_options={"include_usage": True}
    )
    text, usage, finish, pieces = "", None, [], 0
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            pieces += bool(choice.delta.content)
            if choice.finish_reason:
                finish.append(choice.finish_reason)
    checks.that("stream: the values are back", text == f"0: {TEXT}", f"{len(text)} characters")
    checks.that("stream: it came in pieces", pieces > 10, str(pieces))
    checks.that("stream: usage and finish reason pass", usage and usage.total_tokens == 18 and finish == ["stop"])
    clean(recorder, "stream")


def several(client, recorder):
    answer = client.chat.completions.create(model="m-1", messages=user(TEXT), n=2)
    texts = [c.message.content for c in answer.choices]
    checks.that("n=2: both choices are restored", texts == [f"0: {TEXT}", f"1: {TEXT}"])
    clean(recorder, "n=2")
    texts = ["", ""]
    for chunk in client.chat.completions.create(model="m-1", messages=user(TEXT), n=2, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    checks.that("n=2, stream: both choices are restored", texts == [f"0: {TEXT}", f"1: {TEXT}"])
    clean(recorder, "n=2, stream")


def tools(client, recorder):
    answer = client.chat.completions.create(model="m-1", messages=user(TEXT), tools=TOOLS)
    call = answer.choices[0].message.tool_calls[0]
    checks.that("tools: the arguments are JSON with the values", json.loads(call.function.arguments) == {"text": TEXT, "urgent": True})
    clean(recorder, "tools")

    fragments, names = "", []
    for chunk in client.chat.completions.create(model="m-1", messages=user(TEXT), tools=TOOLS, stream=True):
        for call in chunk.choices[0].delta.tool_calls or []:
            fragments += call.function.arguments or ""
            names += [call.function.name] if call.function.name else []
    checks.that("tools, stream: the arguments are JSON with the values", json.loads(fragments) == {"text": TEXT, "urgent": True})
    checks.that("tools, stream: the name came once", names == ["write_to"], str(names))
    clean(recorder, "tools, stream")

    # The next turn carries the call and its result.
    call = {"id": "call_1", "type": "function", "function": {"name": "write_to", "arguments": json.dumps({"text": TEXT})}}
    messages = user("Write to me.") + [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": json.dumps({"sent": EMAIL, "copy": f"{NAME} <{EMAIL}>"})},
    ]
    answer = client.chat.completions.create(model="m-1", messages=messages)
    checks.that("tool result: it is restored", EMAIL in answer.choices[0].message.content)
    arrived = clean(recorder, "tool result")
    checks.that("tool result: the arguments stay JSON", all(
        json.loads(c["function"]["arguments"])
        for m in json.loads(arrived[arrived.index('{"'):])["messages"]
        for c in m.get("tool_calls") or []
    ))


def other_shapes(client, recorder):
    parts = [{"type": "text", "text": f"I am {NAME}."}, {"type": "text", "text": f"Write to {EMAIL}."}]
    answer = client.chat.completions.create(model="m-1", messages=user(parts))
    checks.that("parts: restored", answer.choices[0].message.content == f"0: I am {NAME}. Write to {EMAIL}.")
    clean(recorder, "parts")

    client.embeddings.create(model="m-1", input=[TEXT, f"Mail {EMAIL}"])
    clean(recorder, "embeddings")

    checks.that("models: the list passes", [m.id for m in client.models.list().data] == ["m-1"])
    recorder.take()

    try:
        client.chat.completions.create(model="m-1", messages=user(f"FAIL {EMAIL}"))
        checks.that("upstream error: it arrives as one", False)
    except openai.BadRequestError as error:
        checks.that("upstream error: it is restored", EMAIL in str(error))
    clean(recorder, "upstream error")


def consent(client, recorder):
    for given in ("", "support=?0", "marketing", "support=1", "(("):
        for stream in (False, True):
            try:
                client.chat.completions.create(
                    model="m-1", messages=user(TEXT), stream=stream, extra_headers=headers(consent=given)
                )
                checks.that(f"consent {given!r}: refused", False, "it was answered")
            except openai.PermissionDeniedError as error:
                body = error.response.json()
                checks.that(f"consent {given!r}: refused", body.get("type") == "urn:privet:problem:consent-required", str(body.get("type")))
                checks.that(f"consent {given!r}: it says what is missing", body.get("missing") == ["support"])
                checks.that(f"consent {given!r}: no value in the refusal", not any(v in error.response.text for v in FORBIDDEN))
    checks.that("no consent: nothing arrived", not recorder.take())


RESPONSE_TOOLS = [{"type": "function", "strict": True, **TOOLS[0]["function"]}]


def responses(client, recorder):
    answer = client.responses.create(model="m-1", input=TEXT, instructions=f"Greet {NAME}.", user="shop-user")
    checks.that("responses: the values are back", answer.output_text == TEXT and answer.instructions == f"Greet {NAME}.")
    clean(recorder, "responses")

    parts = [{"role": "user", "content": [{"type": "input_text", "text": f"I am {NAME}."}, {"type": "input_text", "text": f"Write to {EMAIL}."}]}]
    answer = client.responses.create(model="m-1", input=parts)
    checks.that("responses, parts: restored", answer.output_text == f"I am {NAME}. Write to {EMAIL}.")
    clean(recorder, "responses, parts")

    answer = client.responses.create(model="m-1", input=TEXT, tools=RESPONSE_TOOLS)
    checks.that("responses, tools: the arguments are JSON with the values", json.loads(answer.output[0].arguments) == {"text": TEXT, "urgent": True})
    clean(recorder, "responses, tools")


def responses_streamed(client, recorder):
    said, numbers = {}, []
    for event in client.responses.create(model="m-1", input=TEXT, stream=True):
        numbers.append(event.sequence_number)
        if event.type == "response.output_text.delta":
            said["delta"] = said.get("delta", "") + event.delta
        elif event.type == "response.output_text.done":
            said["done"] = event.text
        elif event.type == "response.content_part.done":
            said["part"] = event.part.text
        elif event.type == "response.output_item.done":
            said["item"] = event.item.content[0].text
        elif event.type == "response.completed":
            said["completed"] = event.response.output_text
    checks.that("responses, stream: all five agree and have the values", list(said.values()) == [TEXT] * 5, str(said))
    checks.that("responses, stream: no event is missing or more", numbers == list(range(len(numbers))), str(numbers))
    clean(recorder, "responses, stream")

    with client.responses.stream(model="m-1", input=TEXT, tools=RESPONSE_TOOLS) as stream:
        fragments = "".join(e.delta for e in stream if e.type == "response.function_call_arguments.delta")
        final = stream.get_final_response().output[0].arguments
    wanted = {"text": TEXT, "urgent": True}
    checks.that("responses, tools, stream: the arguments are JSON with the values", json.loads(fragments) == json.loads(final) == wanted)
    clean(recorder, "responses, tools, stream")


def history(client, recorder):
    """The upstream remembers, and nobody says whose it is: the chain of responses does."""
    given = {"extra_headers": {"Privet-Subject": openai.Omit()}}
    first = client.responses.create(model="m-1", input=f"My name is {NAME}.", **given)
    later = client.responses.create(model="m-1", input="Who am I?", previous_response_id=first.id, **given)
    checks.that("history: what was said before is restored", later.output_text == f"My name is {NAME}. / Who am I?", later.output_text)
    clean(recorder, "history")


async def asynchronous(url, recorder):
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0, default_headers=headers()) as client:

        async def ask(number):
            text = f"I am customer {number}: my name is {NAME}, write to {EMAIL}."
            if number % 2:
                stream = await client.chat.completions.create(model="m-1", messages=user(text), stream=True)
                parts = [c.choices[0].delta.content or "" async for c in stream if c.choices]
                return "".join(parts) == f"0: {text}"
            answer = await client.chat.completions.create(model="m-1", messages=user(text))
            return answer.choices[0].message.content == f"0: {text}"

        async def respond(number):
            text = f"I am customer {number}: my name is {NAME}, write to {EMAIL}."
            async with client.responses.stream(model="m-1", input=text) as stream:
                return (await stream.get_final_response()).output_text == text

        answers = await asyncio.gather(*(ask(n) for n in range(16)), *(respond(n) for n in range(4)))
        checks.that("async: twenty at once, all restored", all(answers), str(answers))
    clean(recorder, "async")


def watching(admin):
    def get(path):
        with urllib.request.urlopen(admin + path, timeout=10) as response:
            return response.read().decode()

    metrics = get("/metrics")
    checks.that("metrics: requests and findings are counted", "privet_requests_total{" in metrics and "privet_findings_total{" in metrics)
    checks.that("metrics: nothing personal", not any(v in metrics for v in FORBIDDEN))
    for path in ("/healthz", "/readyz"):
        try:
            checks.that(f"{path}: it answers", get(path) is not None)
        except urllib.error.URLError as error:
            checks.that(f"{path}: it answers", False, str(error))


def demo(binary):
    """`privet demo` as a stranger meets it."""
    places = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    with (
        tempfile.TemporaryDirectory() as folder,
        Program(binary, "demo", *places, env={"TMPDIR": folder}, names=("gateway", "admin", "chat page")) as running,
    ):
        curl = running.next_line()
        checks.that("demo: a curl line is printed", curl.startswith("curl "), curl)
        out = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=60).stdout
        deltas = [json.loads(line[6:]) for line in out.splitlines() if line.startswith("data: {")]
        said = "".join(d["choices"][0]["delta"].get("content") or "" for d in deltas if d["choices"])
        checks.that("demo: the curl line works when pasted", NAME in said and EMAIL in said, out[:200])
        checks.that("demo: the stream is whole", out.rstrip().endswith("data: [DONE]"))

        seen = urllib.request.urlopen(running.addresses["chat page"] + "/seen", timeout=30)
        client = openai.OpenAI(base_url=running.addresses["gateway"] + "/v1", api_key="sk-test", max_retries=0, default_headers=headers())
        stream = client.chat.completions.create(model="corner-shop-1", messages=user(TEXT), stream=True)
        said = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
        checks.that("demo: the chatbot's answer is restored", IBAN in said and EMAIL in said, said)
        shown = ""
        while '"type":"done"' not in shown:
            line = seen.readline().decode()
            if not line:
                break
            shown += line
        found = [FORBIDDEN.index(v) for v in FORBIDDEN if v in shown]
        checks.that("demo: the chatbot saw tokens alone", not found and TOKEN.search(shown), f"planted values {found}")
        checks.that("demo: its vault is in a folder of its own", len(os.listdir(folder)) == 1)
        checks.that("demo: it ends when told to", running.stop() == 0)
        checks.that("demo: it leaves nothing behind", not os.listdir(folder), str(os.listdir(folder)))


def main(binary):
    chatbot = Chatbot()
    with Gateway(binary, chatbot) as running:
        client = openai.OpenAI(base_url=f"{running.url}/v1", api_key="sk-test", max_retries=0, default_headers=headers())
        for part in (plain, streamed, several, tools, other_shapes, responses, responses_streamed, history, consent):
            checks.section(part.__name__, part, client, chatbot)
            chatbot.take()
        checks.section("async", lambda: asyncio.run(asynchronous(running.url, chatbot)))
        checks.section("watching", watching, running.addresses["admin"])
        checks.that("serve: it ends when told to", running.stop() == 0)
    checks.section("demo", demo, binary)


if __name__ == "__main__":
    checks.section("start", main, sys.argv[1])
    checks.close()
