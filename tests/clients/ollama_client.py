"""The real `ollama` package through a running gateway.

    ollama_client.py PATH/TO/privet"""

import asyncio
import sys

import ollama
from chatbot import Chatbot
from harness import EMAIL, NAME, TEXT, Checks, Gateway, headers
from harness import clean as nothing_arrived

TOOLS = [{"type": "function", "function": {"name": "write_to", "description": f"Writes to {NAME}.", "parameters": {"type": "object", "properties": {"text": {"type": "string"}}}}}]

checks = Checks()


def clean(chatbot, what):
    return nothing_arrived(checks, chatbot, what)


def user(content):
    return [{"role": "user", "content": content}]


def chat(client, chatbot):
    messages = [{"role": "system", "content": f"You talk to {NAME}."}, *user(TEXT)]
    answer = client.chat(model="m-1", messages=messages)
    checks.that("chat: the values are back", answer.message.content == TEXT)
    clean(chatbot, "chat")
    pieces = [part.message.content for part in client.chat(model="m-1", messages=messages, stream=True)]
    checks.that("chat, stream: the values are back", "".join(pieces) == TEXT)
    checks.that("chat, stream: it came in pieces", len(pieces) > 10, str(len(pieces)))
    clean(chatbot, "chat, stream")


def tools(client, chatbot):
    parts = list(client.chat(model="m-1", messages=user(TEXT), tools=TOOLS, stream=True))
    calls = [call.function.arguments for part in parts for call in part.message.tool_calls or []]
    checks.that("tools: the arguments have the values", calls == [{"text": TEXT, "urgent": True}], str(len(calls)))
    clean(chatbot, "tools")


def generate(client, chatbot):
    answer = client.generate(model="m-1", prompt=TEXT, system=f"You talk to {NAME}.")
    checks.that("generate: the values are back", answer.response == TEXT)
    clean(chatbot, "generate")
    text = "".join(part.response for part in client.generate(model="m-1", prompt=TEXT, stream=True))
    checks.that("generate, stream: the values are back", text == TEXT)
    clean(chatbot, "generate, stream")
    client.embed(model="m-1", input=[TEXT, f"Mail {EMAIL}"])
    clean(chatbot, "embed")


def consent(client, chatbot):
    try:
        client.chat(model="m-1", messages=user(TEXT))
        checks.that("consent: refused", False, "it was answered")
    except ollama.ResponseError as error:
        checks.that("consent: refused", error.status_code == 403 and "consent-required" in str(error), str(error))
    checks.that("no consent: nothing arrived", not chatbot.take())


async def asynchronous(url, chatbot):
    client = ollama.AsyncClient(host=url, headers=headers())

    async def ask(number):
        text = f"I am customer {number}: my name is {NAME}, write to {EMAIL}."
        parts = [part.message.content async for part in await client.chat(model="m-1", messages=user(text), stream=True)]
        return "".join(parts) == text

    answers = await asyncio.gather(*(ask(n) for n in range(8)))
    checks.that("async: eight at once, all restored", all(answers), str(answers))
    clean(chatbot, "async")


def main(binary):
    chatbot = Chatbot()
    with Gateway(binary, chatbot) as running:
        client = ollama.Client(host=running.url, headers=headers())
        for part in (chat, tools, generate):
            checks.section(part.__name__, part, client, chatbot)
            chatbot.take()
        checks.section("consent", consent, ollama.Client(host=running.url, headers=headers(consent="support=?0")), chatbot)
        checks.section("async", lambda: asyncio.run(asynchronous(running.url, chatbot)))


if __name__ == "__main__":
    checks.section("start", main, sys.argv[1])
    checks.close()
