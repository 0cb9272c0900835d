"""The `deep-chat` web component in a real browser, typed into as a person would,
through a running gateway to a chatbot of one's own.

    deep_chat.py PATH/TO/privet FOLDER/OF/node_modules [FOLDER/FOR/SCREENSHOTS]"""

import os
import shutil
import sys
import tempfile

from chatbot import Chatbot
from harness import CHROMIUM_FLAGS, EMAIL, NAME, Checks, Gateway, chromium, clean
from playwright.sync_api import expect, sync_playwright

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Corner shop</title>
<script type="module" src="/deepChat.bundle.js"></script>
<deep-chat style="width: 480px; height: 480px"></deep-chat>
<script>
  const declined = new URLSearchParams(location.search).has("declined");
  const headers = declined ? {} : { "Privet-Consent": "support", "Privet-Subject": "visitor-7" };
  const connect = { url: "GATEWAY/bot", stream: true, headers };
  document.querySelector("deep-chat").setAttribute("connect", JSON.stringify(connect));
</script>
</html>
"""

checks = Checks()


def visit(browser, page_url, chatbot, folder):
    page = browser.new_page(viewport={"width": 520, "height": 520})
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(page_url)
    written = page.locator("#text-input")
    written.click()
    page.keyboard.type(f"Hello, my name is {NAME}. Please write to {EMAIL} today.", delay=5)
    page.keyboard.press("Enter")
    answer = page.locator(".ai-message-text")
    expect(answer.last).to_have_text(f"You said: Hello, my name is {NAME}. Please write to {EMAIL} today.", timeout=15_000)
    checks.that("deep-chat: the person reads her own values", True)
    text = clean(checks, chatbot, "deep-chat")
    checks.that("deep-chat: the chatbot read the words around them", "Please write to [EMAIL_" in text, text[-300:])
    if folder:
        page.screenshot(path=os.path.join(folder, "deep-chat.png"))

    written.click()
    page.keyboard.type(f"And who is {NAME}?", delay=5)
    page.keyboard.press("Enter")
    expect(answer.last).to_have_text(f"You said: And who is {NAME}?", timeout=15_000)
    clean(checks, chatbot, "deep-chat, later")
    checks.that("deep-chat: the browser has nothing to complain of", not complaints, str(complaints))
    page.close()


def declined(browser, page_url, chatbot, folder):
    page = browser.new_page(viewport={"width": 520, "height": 520})
    page.goto(page_url + "?declined")
    page.locator("#text-input").click()
    page.keyboard.type(f"Please write to {EMAIL} today.", delay=5)
    page.keyboard.press("Enter")
    expect(page.locator(".error-message-text").first).to_be_visible(timeout=15_000)
    checks.that("deep-chat, no consent: it says that there is an error", True)
    checks.that("deep-chat, no consent: nothing arrived", not chatbot.take())
    if folder:
        page.screenshot(path=os.path.join(folder, "deep-chat-declined.png"))
    page.close()


def main(binary, packages, folder=None):
    with tempfile.TemporaryDirectory() as site:
        bundle = os.path.join(packages, "node_modules/deep-chat/dist/deepChat.bundle.js")
        shutil.copy(bundle, site)
        chatbot = Chatbot(site)
        with Gateway(binary, chatbot, f'[cors]\norigins = ["{chatbot.url}"]\n') as running:
            with open(os.path.join(site, "index.html"), "w", encoding="utf-8") as file:
                file.write(PAGE.replace("GATEWAY", running.url))
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
                for part in (visit, declined):
                    checks.section(part.__name__, part, browser, f"{chatbot.url}/index.html", chatbot, folder)
                browser.close()


if __name__ == "__main__":
    checks.section("start", main, *sys.argv[1:])
    checks.close()
