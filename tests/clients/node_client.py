"""The real `openai` and `ai` packages of npm through a running gateway, under
node; `node_client.mjs` is their side.

    node_client.py PATH/TO/privet FOLDER/OF/node_modules"""

import json
import os
import subprocess
import sys

from chatbot import Chatbot
from harness import TEXT, Checks, Gateway, clean, headers

checks = Checks()


def main(binary, packages):
    chatbot = Chatbot()
    # Packages are sought beside the program.
    program = os.path.join(packages, "node_client.mjs")
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "node_client.mjs"), encoding="utf-8") as source:
        with open(program, "w", encoding="utf-8") as copy:
            copy.write(source.read())
    with Gateway(binary, chatbot) as running:
        given = json.dumps({"gateway": running.url, "headers": headers(), "text": TEXT})
        ran = subprocess.run(["node", program, given], capture_output=True, text=True, timeout=120)
        checks.that("node: it ran to its end", ran.returncode == 0, ran.stderr[-2000:])
        for line in ran.stdout.splitlines():
            told = json.loads(line)
            checks.that(told["what"], told["holds"], told["otherwise"])
        clean(checks, chatbot, "node")


if __name__ == "__main__":
    checks.section("start", main, *sys.argv[1:])
    checks.close()
