"""The real `langchain-openai` package through a running gateway, over chat
completions and over responses.

    langchain_client.py PATH/TO/privet"""

import sys

from chatbot import Chatbot
from harness import NAME, TEXT, Checks, Gateway, headers
from harness import clean as nothing_arrived
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

checks = Checks()


@tool
def write_to(text: str, urgent: bool) -> str:
    """Writes to a customer."""
    return text


def chat(model, said, chatbot, what):
    asked = [SystemMessage(f"You talk to {NAME}."), HumanMessage(TEXT)]
    checks.that(f"{what}: the values are back", model.invoke(asked).text == said)
    nothing_arrived(checks, chatbot, what)
    pieces = [chunk.text for chunk in model.stream(asked)]
    checks.that(f"{what}, stream: the values are back", "".join(pieces) == said, str(len(pieces)))
    checks.that(f"{what}, stream: it came in pieces", len(pieces) > 10, str(len(pieces)))
    nothing_arrived(checks, chatbot, f"{what}, stream")
    bound = model.bind_tools([write_to])
    wanted = {"text": TEXT, "urgent": True}
    checks.that(f"{what}, tools: the arguments have the values", bound.invoke(asked).tool_calls[0]["args"] == wanted)
    whole = None
    for chunk in bound.stream(asked):
        whole = chunk if whole is None else whole + chunk
    checks.that(f"{what}, tools, stream: the arguments have the values", whole.tool_calls[0]["args"] == wanted, str(whole.tool_calls))
    nothing_arrived(checks, chatbot, f"{what}, tools")


def embed(url, chatbot):
    model = OpenAIEmbeddings(model="m-1", base_url=url, api_key="sk-test", default_headers=headers(), check_embedding_ctx_length=False)
    checks.that("embeddings: it is answered", model.embed_query(TEXT) == [0.5, 0.25])
    nothing_arrived(checks, chatbot, "embeddings")


def main(binary):
    chatbot = Chatbot()
    with Gateway(binary, chatbot) as running:
        url = f"{running.url}/v1"
        for responses, said in ((False, f"0: {TEXT}"), (True, TEXT)):
            what = "responses" if responses else "chat"
            model = ChatOpenAI(model="m-1", base_url=url, api_key="sk-test", max_retries=0, default_headers=headers(), use_responses_api=responses)
            checks.section(what, chat, model, said, chatbot, what)
            chatbot.take()
        checks.section("embed", embed, url, chatbot)


if __name__ == "__main__":
    checks.section("start", main, sys.argv[1])
    checks.close()
