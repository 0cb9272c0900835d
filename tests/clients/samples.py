"""The samples of the protocols against the vendors' own types: what they plant
values in has to be what the real clients and servers send.

    samples.py PATH/TO/privet

The program itself is not needed."""

import json
import os
import re

import anthropic.types
import anthropic.types.beta
import mcp.types
import ollama
import openai.types
import openai.types.chat
import openai.types.responses
from botbuilder import schema as bot
from engineio.payload import Payload
from google.cloud import dialogflow_v2beta1, dialogflowcx_v3
from google.genai import types as genai
from google.protobuf.json_format import ParseError
from harness import Checks
from msrest.serialization import Deserializer
from pydantic import BaseModel, TypeAdapter, ValidationError
from socketio.packet import EVENT, Packet

FOLDER = os.path.join(os.path.dirname(__file__), "../../rules/protocols/samples")
# Fields that the vendor's own type does not have: servers that speak alike do,
# and models that search send `annotations` in the last chunk of a stream too.
OF_OTHERS = {"reasoning_content", "annotations"}
# What Azure adds, by its reference.
OF_AZURE = {"prompt_filter_results", "content_filter_results", "context"}

checks = Checks()


def sample(name):
    """A sample with something in each hole."""
    with open(os.path.join(FOLDER, f"{name}.json"), encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r'"\{\{(number|count|offset)(:[^}]*)?\}\}"', "42", text)
    text = re.sub(r"\{\{json(:[^}]*)?\}\}", "{}", text)
    return json.loads(re.sub(r"\{\{(\w+)(:[^}]*)?\}\}", "abcd", text))


def fits(what, kind, value, others=OF_OTHERS):
    """Reads `value` as the package does, and looks for members that it does not know."""
    try:
        unknown = set(strangers(TypeAdapter(kind).validate_python(value))) - others
        checks.that(what, not unknown, f"unknown members {sorted(unknown)}")
    except ValidationError as error:
        tag = value.get("type") if isinstance(value, dict) else None
        # Of a union, what stands about the very type says most.
        reasons = [f"{e['loc']}: {e['msg']}" for e in error.errors()]
        near = [r for r in reasons if tag and tag.replace("_", "").replace(".", "") in r.lower().replace("_", "")]
        checks.that(what, False, "; ".join((near or reasons)[:3]))


def strangers(value):
    if isinstance(value, BaseModel):
        yield from value.model_extra or {}
        for name in type(value).model_fields:
            yield from strangers(getattr(value, name))
    elif isinstance(value, list):
        for one in value:
            yield from strangers(one)


def of_openai():
    types = openai.types
    chat = sample("openai-chat/chat")
    fits("openai: a chat completion", types.chat.ChatCompletion, chat["replies"][0]["body"])
    for event in chat["replies"][1]["events"]:
        if isinstance(event["data"], dict):
            fits("openai: a chunk of a chat completion", types.chat.ChatCompletionChunk, event["data"])
    azure = sample("openai-chat/azure")
    others = OF_OTHERS | OF_AZURE
    fits("azure: a chat completion", types.chat.ChatCompletion, {"created": 0, **azure["replies"][0]["body"]}, others)
    for event in azure["replies"][1]["events"]:
        if isinstance(event["data"], dict):
            # Its first event, of the prompt alone, has an empty `object`.
            chunk = {"created": 0, "model": "", **event["data"], "object": "chat.completion.chunk"}
            fits("azure: a chunk of a chat completion", types.chat.ChatCompletionChunk, chunk, others)
    completion = sample("openai-completions/completions")
    fits("openai: a completion", types.Completion, completion["replies"][0]["body"])
    responses = sample("openai-responses/responses")
    fits("openai: a response", types.responses.Response, responses["replies"][0]["body"])
    for item in responses["request"]["body"]["input"]:
        fits(f"openai: the input {item.get('type', 'message')}", types.responses.ResponseInputItemParam, item)
    for reply in responses["replies"][1:3]:
        for event in reply["events"]:
            fits(f"openai: the event {event['event']}", types.responses.ResponseStreamEvent, event["data"])


def of_anthropic():
    messages = sample("anthropic/messages")
    fits("anthropic: a message", anthropic.types.Message, messages["replies"][0]["body"])
    for event in messages["replies"][1]["events"]:
        if event["event"] != "ping":
            fits(f"anthropic: the event {event['event']}", anthropic.types.RawMessageStreamEvent, event["data"])
    for message in messages["request"]["body"]["messages"]:
        if isinstance(message["content"], list):
            for block in message["content"]:
                fits(f"anthropic: the block {block['type']}", anthropic.types.beta.BetaContentBlockParam, block)


def of_ollama():
    from ollama import _types as types

    chat, generate = sample("ollama/chat"), sample("ollama/generate")
    fits("ollama: a chat request", types.ChatRequest, chat["request"]["body"])
    # The package has pictures in another form until they are sent.
    asked = {name: value for name, value in generate["request"]["body"].items() if name != "images"}
    fits("ollama: a request for a text", types.GenerateRequest, asked)
    fits("ollama: a chat reply", ollama.ChatResponse, chat["replies"][0]["body"])
    for line in chat["replies"][1]["lines"]:
        fits("ollama: a line of a chat reply", ollama.ChatResponse, line)
    for line in [generate["replies"][0]["body"], *generate["replies"][1]["lines"]]:
        fits("ollama: a generated text", ollama.GenerateResponse, line)


def of_gemini():
    generate, stream = sample("gemini/generate"), sample("gemini/stream")
    asked = generate["request"]["body"]
    for content in [*asked["contents"], asked["systemInstruction"]]:
        fits("gemini: a content", genai.Content, content)
    fits("gemini: a tool", genai.Tool, asked["tools"][0])
    config = {name: asked[name] for name in ("labels", "cachedContent", "safetySettings", "toolConfig")}
    fits("gemini: what else is asked", genai.GenerateContentConfig, config)
    fits("gemini: a reply", genai.GenerateContentResponse, generate["replies"][0]["body"])
    for event in stream["replies"][0]["events"]:
        fits("gemini: a chunk", genai.GenerateContentResponse, event["data"])
    for element in stream["replies"][1]["array"]:
        fits("gemini: an element", genai.GenerateContentResponse, element)


def of_mcp():
    call, sampling = sample("mcp/call-tool"), sample("mcp/sampling")
    fits("mcp: a call", mcp.types.CallToolRequestParams, call["request"]["body"]["params"])
    fits("mcp: its result", mcp.types.CallToolResult, call["replies"][0]["body"]["result"])
    fits("mcp: a sampled message", mcp.types.CreateMessageResult, sampling["request"]["body"]["result"])


def of_bot_framework():
    models = {name: model for name, model in vars(bot).items() if isinstance(model, type)}
    read = Deserializer(models)
    posted = sample("bot-framework/post-activity")["request"]["body"]
    polled = sample("bot-framework/poll-activities")["replies"][0]["body"]["activities"]
    for activity in [posted, *polled]:
        known = {attribute["key"] for attribute in bot.Activity._attribute_map.values()}
        unknown = set(activity) - known
        checks.that("bot framework: an activity", not unknown and read("Activity", activity), f"unknown members {unknown}")


def of_dialogflow():
    # The beta has all that v2 has, and more.
    for name, types, other in (("es", dialogflow_v2beta1, "event"), ("cx", dialogflowcx_v3, "digits")):
        for read in (sample(f"dialogflow-{name}/detect-intent"), sample(f"dialogflow-{name}/{other}")):
            parse(f"dialogflow {name}: a request", types.DetectIntentRequest, read["request"]["body"])
            for reply in read.get("replies", []):
                if reply.get("status", 200) == 200:
                    parse(f"dialogflow {name}: a reply", types.DetectIntentResponse, reply["body"])


def parse(what, kind, value):
    """Reads `value` as the package reads JSON: members that it does not know are refused."""
    try:
        kind.from_json(json.dumps(value), ignore_unknown_fields=False)
        checks.that(what, True)
    except ParseError as error:
        checks.that(what, False, str(error))


def of_socketio():
    polling, socket = sample("rasa-socketio/polling"), sample("rasa-socketio/websocket")
    for what, body, names in (
        ("a polled request", polling["request"]["body"], ["user_uttered"]),
        ("a polled reply", polling["replies"][0]["body"], ["bot_uttered", "bot_uttered"]),
    ):
        # Records parted by U+001E, of which each is one packet.
        events = [event(packet.data) for packet in Payload(encoded_payload=body).packets if packet.packet_type == 4]
        checks.that(f"socket.io: {what}", events == names, f"the events are {events}")
    messages = [*socket["request"]["messages"], *socket["replies"][0]["messages"]]
    events = [event(message[1:]) for message in messages if message.startswith("42")]
    want = ["session_request", "user_uttered", "session_confirm", "bot_uttered"]
    checks.that("socket.io: messages of a socket", events == want, f"the events are {events}")


def event(text):
    packet = Packet(encoded_packet=text)
    return packet.data[0] if packet.packet_type == EVENT else packet.packet_type


def main():
    for part in (of_openai, of_anthropic, of_ollama, of_gemini, of_mcp, of_bot_framework, of_dialogflow, of_socketio):
        checks.section(part.__name__, part)


if __name__ == "__main__":
    main()
    checks.close()
