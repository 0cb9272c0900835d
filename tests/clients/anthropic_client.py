"""The real `anthropic` package through a running gateway.

    anthropic_client.py PATH/TO/privet

None of the planted values may reach the chatbot, the client must get every one
of them back, and thinking with its signature passes byte for byte."""

import asyncio
import json
import sys

import anthropic
from chatbot import SIGNATURE, THINKING, Chatbot
from harness import EMAIL, NAME, TEXT, TOKEN, VALUES, Checks, Gateway, headers
from harness import clean as nothing_arrived

TOOLS = [
    {
        "name": "write_to",
        "description": f"Writes to {NAME}.",
        "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    }
]
ASKED = {"model": "m-1", "max_tokens": 100}
WITH_THINKING = {**ASKED, "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 1024}}

checks = Checks()


def user(content):
    return [{"role": "user", "content": content}]


def clean(chatbot, what):
    return nothing_arrived(checks, chatbot, what)


def plain(client, chatbot):
    answer = client.messages.create(**ASKED, system=f"You talk to {NAME}.", messages=user(TEXT), metadata={"user_id": EMAIL})
    checks.that("plain: the values are back", answer.content[0].text == f"You talk to {NAME}. / {TEXT}")
    tokens = TOKEN.findall(clean(chatbot, "plain"))
    checks.that("plain: each value has a token", len(set(tokens)) == len(VALUES), str(tokens))

    blocks = [{"type": "text", "text": f"I am {NAME}."}, {"type": "text", "text": f"Write to {EMAIL}."}]
    system = [{"type": "text", "text": f"You talk to {NAME}.", "cache_control": {"type": "ephemeral"}}]
    answer = client.messages.create(**ASKED, system=system, messages=user(blocks))
    checks.that("blocks: restored", answer.content[0].text == f"I am {NAME}. Write to {EMAIL}.", answer.content[0].text)
    clean(chatbot, "blocks")

    counted = client.messages.count_tokens(model="m-1", system=f"You talk to {NAME}.", messages=user(TEXT))
    checks.that("count_tokens: it is answered", counted.input_tokens == 7)
    clean(chatbot, "count_tokens")


def streamed(client, chatbot):
    with client.messages.stream(**ASKED, messages=user(TEXT)) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    checks.that("stream: the values are back", "".join(pieces) == final.content[0].text == TEXT)
    checks.that("stream: it came in pieces", len(pieces) > 10, str(len(pieces)))
    checks.that("stream: the end passes", final.stop_reason == "end_turn" and final.usage.output_tokens == 11)
    clean(chatbot, "stream")


def tools(client, chatbot):
    wanted = {"text": TEXT, "urgent": True}
    answer = client.messages.create(**ASKED, messages=user(TEXT), tools=TOOLS)
    checks.that("tools: the input has the values", answer.content[-1].input == wanted)
    clean(chatbot, "tools")
    with client.messages.stream(**ASKED, messages=user(TEXT), tools=TOOLS) as stream:
        fragments = "".join(e.delta.partial_json for e in stream if e.type == "content_block_delta" and e.delta.type == "input_json_delta")
        final = stream.get_final_message()
    checks.that("tools, stream: the fragments are JSON with the values", json.loads(fragments) == final.content[-1].input == wanted)
    clean(chatbot, "tools, stream")

    turns = user(TEXT) + [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "write_to", "input": wanted}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": f"sent to {EMAIL}"}, {"type": "text", "text": f"And {NAME}?"}]},
    ]
    answer = client.messages.create(**ASKED, messages=turns)
    checks.that("tool result: it is restored", NAME in answer.content[0].text)
    clean(chatbot, "tool result")


def thinking(client, chatbot):
    answer = client.messages.create(**WITH_THINKING, messages=user(TEXT))
    with client.messages.stream(**WITH_THINKING, messages=user(TEXT)) as stream:
        final = stream.get_final_message()
    for what, message in (("thinking", answer), ("thinking, stream", final)):
        block = message.content[0]
        checks.that(f"{what}: it comes back as it was", (block.thinking, block.signature) == (THINKING, SIGNATURE), str(block))
        checks.that(f"{what}: the values are back", message.content[1].text == TEXT)
    clean(chatbot, "thinking")
    turns = user("Hello.") + [{"role": "assistant", "content": [b.model_dump(exclude_unset=True) for b in answer.content]}, *user(f"I am {NAME}.")]
    client.messages.create(**WITH_THINKING, messages=turns)
    arrived = clean(chatbot, "thinking, next turn")
    sent = json.loads(arrived[arrived.index('{"'):])["messages"][1]["content"][0]
    checks.that("thinking, next turn: it arrives as it was", (sent["thinking"], sent["signature"]) == (THINKING, SIGNATURE))


def consent(client, chatbot):
    try:
        client.messages.create(**ASKED, messages=user(TEXT), extra_headers=headers(consent="support=?0"))
        checks.that("consent: refused", False, "it was answered")
    except anthropic.PermissionDeniedError as error:
        checks.that("consent: refused", error.response.json()["type"] == "urn:privet:problem:consent-required")
    checks.that("no consent: nothing arrived", not chatbot.take())


async def asynchronous(url, chatbot):
    async with anthropic.AsyncAnthropic(base_url=url, api_key="sk-test", max_retries=0, default_headers=headers()) as client:

        async def ask(number):
            text = f"I am customer {number}: my name is {NAME}, write to {EMAIL}."
            async with client.messages.stream(**ASKED, messages=user(text)) as stream:
                return await stream.get_final_text() == text

        answers = await asyncio.gather(*(ask(n) for n in range(8)))
        checks.that("async: eight at once, all restored", all(answers), str(answers))
    clean(chatbot, "async")


def main(binary):
    chatbot = Chatbot()
    with Gateway(binary, chatbot) as running:
        client = anthropic.Anthropic(base_url=running.url, api_key="sk-test", max_retries=0, default_headers=headers())
        for part in (plain, streamed, tools, thinking, consent):
            checks.section(part.__name__, part, client, chatbot)
            chatbot.take()
        checks.section("async", lambda: asyncio.run(asynchronous(running.url, chatbot)))


if __name__ == "__main__":
    checks.section("start", main, sys.argv[1])
    checks.close()
