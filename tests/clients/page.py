"""The demo's chat page in a real browser, on a wide and on a narrow window.

    page.py PATH/TO/privet [FOLDER]

Screenshots go to FOLDER where one is given. The browser is Chromium: the one
on the path, or the one that CHROMIUM names."""

import os
import sys

from harness import CHROMIUM_FLAGS, EMAIL, NAME, TOKEN, Checks, Program, chromium
from playwright.sync_api import expect, sync_playwright

checks = Checks()


def visit(browser, url, name, width, height, folder):
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" and "403" not in m.text else None)
    foreign = []
    page.on("request", lambda r: None if r.url.startswith(("http://127.0.0.1:", "data:")) else foreign.append(r.url))

    def shot(step):
        if folder:
            page.screenshot(path=os.path.join(folder, f"{name}-{step}.png"))

    def settled():
        expect(page.locator("#send")).not_to_have_attribute("data-busy", "", timeout=30_000)

    page.goto(url)
    expect(page.locator("#feed-state")).to_have_text("live, word for word")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("May a chatbot answer you?")
    checks.that(f"{name}: consent is asked first", not page.locator("#composer").is_visible())
    looks = [page.locator(f"[data-action={b}]").evaluate("b => [getComputedStyle(b).backgroundColor, getComputedStyle(b).color, b.offsetWidth, b.offsetHeight].join()") for b in ("accept", "decline")]
    checks.that(f"{name}: to decline looks like to accept", looks[0] == looks[1], str(looks))
    fits = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    checks.that(f"{name}: nothing is wider than the window", fits)
    shot("consent")

    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    checks.that(f"{name}: without an answer there is no chat", not page.locator("#composer").is_visible())
    shot("unanswered")
    page.click("#choose")
    dialog.get_by_role("button", name="Decline all").click()
    refused = page.locator(".refused")
    expect(refused).to_contain_text("nothing was forwarded", timeout=10_000)
    checks.that(f"{name}: declining shows the refusal in words", "support" in refused.inner_text())
    refused.locator("summary").click()
    checks.that(f"{name}: and as it came", "urn:privet:problem:consent-required" in refused.inner_text())
    checks.that(f"{name}: nothing reached the chatbot", page.locator(".seen").count() == 0)
    checks.that(f"{name}: and nobody is asked again unasked", dialog.count() == 0)
    shot("declined")

    refused.get_by_role("button").click()
    dialog.get_by_role("button", name="Accept all").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Late order").click()
    expect(page.locator(".token")).not_to_have_count(0, timeout=10_000)
    page.wait_for_timeout(500)
    shot("streaming")
    settled()
    answer = page.locator(".bubble.bot").last.inner_text()
    checks.that(f"{name}: the answer has the person's values", NAME in answer and EMAIL in answer, answer)
    machine = page.locator("#chatbot-log").text_content()
    checks.that(f"{name}: the chatbot saw none of them", NAME not in machine and EMAIL not in machine)
    checks.that(f"{name}: the chatbot saw tokens", len(set(TOKEN.findall(machine))) >= 3, machine)
    marked = page.locator(".bubble.me mark").all_inner_texts()
    checks.that(f"{name}: what was replaced is marked", NAME in marked and EMAIL in marked, str(marked))

    page.fill("#message", "What do you know about me?")
    page.keyboard.press("Enter")
    expect(page.locator(".bubble.bot li").first).to_be_visible(timeout=10_000)
    settled()
    known = page.locator(".bubble.bot").last.inner_text()
    checks.that(f"{name}: later turns restore too", NAME in known and EMAIL in known, known)
    shot("known")
    if width < 860:
        page.get_by_role("button", name="Chatbot’s side").click()
        checks.that(f"{name}: the other side is a tap away", page.locator(".side.chatbot").is_visible() and not page.locator(".side.you").is_visible())
        shot("chatbot")
        page.get_by_role("button", name="Your side").click()

    kept = page.locator("#kept-count").inner_text()
    page.fill("#message", "Who is [EMAIL_AAAAAAAA]?")
    page.keyboard.press("Enter")
    expect(page.locator("#chatbot-log")).to_contain_text("Who is [EMAIL_AAAAAAAA]?", timeout=10_000)
    settled()
    checks.that(f"{name}: what only looks like a token is not said to be kept", page.locator("#kept-count").inner_text() == kept)

    received = page.locator(".seen").count()
    page.click("#withdraw")
    expect(page.locator("#consent-text")).to_have_text("refused")
    page.fill("#message", f"Do you still hold {EMAIL}?")
    page.keyboard.press("Enter")
    expect(page.locator(".refused")).to_have_count(2, timeout=10_000)
    checks.that(f"{name}: after the withdrawal nothing arrives", page.locator(".seen").count() == received)
    checks.that(f"{name}: the browser has nothing to complain of", not complaints, str(complaints))
    checks.that(f"{name}: nothing foreign is loaded", not foreign, str(foreign))
    context.close()


def main(binary, folder=None):
    with Program(binary, "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", names=("gateway", "admin", "chat page")) as running:
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
            for name, width, height in (("wide", 1280, 800), ("narrow", 390, 844)):
                checks.section(name, visit, browser, running.addresses["chat page"] + "/", name, width, height, folder)
            browser.close()


if __name__ == "__main__":
    checks.section("start", main, *sys.argv[1:])
    checks.close()
