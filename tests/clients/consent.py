"""The consent script in a real browser: on a plain page under a strict policy,
by mouse and by keyboard alone, wide and narrow, and around `deep-chat`.

    consent.py PATH/TO/privet FOLDER/OF/node_modules [FOLDER/FOR/SCREENSHOTS]"""

import json
import os
import shutil
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from chatbot import Chatbot
from harness import CHROMIUM_FLAGS, EMAIL, Checks, Gateway, chromium, clean
from playwright.sync_api import expect, sync_playwright

TOML = """
[cors]
origins = ["PAGE"]
[consent]
policy = "2026-05"
[[purposes]]
name = "support"
[[purposes]]
name = "marketing"
sale = true
[[purposes]]
name = "product"
basis = "legitimate-interest"
[[notices]]
lang = "en"
title = "May a chatbot answer you?"
text = \"\"\"What you write is answered with the help of a chatbot.

You can withdraw at any time.\"\"\"
[notices.purposes.support]
title = "Support"
text = "To answer your questions in this chat."
[notices.purposes.marketing]
title = "News"
text = "To write to you about new products."
[[notices]]
lang = "de"
title = "Darf ein Chatbot antworten?"
text = "Was Sie schreiben, wird von einem Chatbot beantwortet."
[[routes]]
path = "/"
purpose = "support"
[[routes]]
path = "/marketing"
purpose = "marketing"
[[webhooks]]
url = "MAILBOX"
events = ["code.issued"]
secret = "a secret of the mailbox"
"""

PAGE = """<!doctype html>
<html lang="LANG">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'self' GATEWAY; style-src GATEWAY; connect-src 'self' GATEWAY SOCKET; base-uri 'none'">
<title>Corner shop</title>
<h1>Corner shop</h1>
<p>Tea, bread, and answers.</p>
<button id="own">Something of the page</button>
<script src="GATEWAY/.privet/consent.js"></script>
</html>
"""

DEEP_CHAT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Corner shop</title>
<style>:root { --privet-accent: rgb(120, 40, 160); --privet-on-accent: white }</style>
<script src="GATEWAY/.privet/consent.js" data-subject="visitor-7"></script>
<script type="module" src="/deepChat.bundle.js"></script>
<deep-chat style="width: 480px; height: 480px"></deep-chat>
<script>
  document.querySelector("deep-chat").setAttribute("connect", JSON.stringify({ url: "GATEWAY/bot", stream: true }));
</script>
</html>
"""

# A site that signs what its visitors say. Each token is for one act.
SIGNED = """
[cors]
origins = ["PAGE"]
[consent]
policy = "2026-05"
require_signed = true
hs256_secret = "thirty-two bytes that the site knows"
[[purposes]]
name = "support"
[[notices]]
lang = "en"
title = "May a chatbot answer you?"
text = "What you write is answered with the help of a chatbot."
"""

SIGNED_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Corner shop</title>
<script src="GATEWAY/.privet/consent.js"></script>
<script>
  const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\\+/g, "-").replace(/\\//g, "_").replace(/=/g, "");
  const utf8 = (text) => new TextEncoder().encode(text);
  window.signed = [];
  privet.configure({
    subject: "visitor-9",
    async sign({ subject, purposes, policy, at, method }) {
      const claims = { sub: subject, jti: crypto.randomUUID(), iat: at, exp: at + 300, purposes, policy, method };
      const text = base64(utf8('{"alg":"HS256","typ":"JWT"}')) + "." + base64(utf8(JSON.stringify(claims)));
      const hash = { name: "HMAC", hash: "SHA-256" };
      const key = await crypto.subtle.importKey("raw", utf8("thirty-two bytes that the site knows"), hash, false, ["sign"]);
      window.signed.push(purposes);
      return text + "." + base64(await crypto.subtle.sign("HMAC", key, utf8(text)));
    },
  });
</script>
</html>
"""

SAY = """async ([url, text]) => {
  const body = JSON.stringify({ model: "m-1", messages: [{ role: "user", content: text }] });
  const reply = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  return [reply.status, await reply.text()];
}"""

XHR = """([url, text]) => new Promise((done) => {
  const request = new XMLHttpRequest();
  request.open("POST", url);
  request.setRequestHeader("Content-Type", "application/json");
  request.onloadend = () => done([request.status, request.responseText]);
  request.send(JSON.stringify({ model: "m-1", messages: [{ role: "user", content: text }] }));
})"""

SOCKET = """(url) => new Promise((done) => { new WebSocket(url).onclose = (event) => done(event.code); })"""
EVENTS = """(url) => new Promise((done) => { const source = new EventSource(url); source.onerror = () => { source.close(); done(true); }; })"""

# The contrast of text and its ground (WCAG 2.2).
CONTRAST = """(element) => {
  const light = (color) => color.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const style = getComputedStyle(element);
  let ground = element;
  while (/rgba\\(.*, 0\\)|transparent/.test(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement;
  const [a, b] = [light(style.color), light(getComputedStyle(ground).backgroundColor)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""

checks = Checks()


class Mailbox(ThreadingHTTPServer):
    """The system that would send codes to the addresses that are on file."""

    daemon_threads = True

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.server.codes.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["code"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.url, self.codes = f"http://127.0.0.1:{self.server_address[1]}", []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Site:
    def __init__(self, browser, site, gateway, chatbot, mailbox, folder):
        self.browser, self.site, self.gateway, self.chatbot, self.folder = browser, site, gateway, chatbot, folder
        self.mailbox = mailbox

    def visit(self, name="index.html", **options):
        context = self.browser.new_context(**{"viewport": {"width": 1000, "height": 760}, **options})
        page = context.new_page()
        page.complaints, page.answers = [], {}
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("console", lambda m: page.complaints.append(m.text) if "Content Security" in m.text or "CORS" in m.text else None)
        page.on("response", lambda r: page.answers.__setitem__(r.url.split("?")[0], r.status))
        page.goto(f"{self.site}/{name}")
        return page

    def shot(self, page, name):
        if self.folder:
            page.screenshot(path=os.path.join(self.folder, f"consent-{name}.png"))

    def say(self, page, text=f"Please write to {EMAIL}", path="/v1/chat/completions", how=SAY):
        return page.evaluate(how, [self.gateway + path, text])


def asks(site, name, **options):
    page = site.visit(**options)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible(timeout=10_000)
    site.shot(page, f"{name}-asks")
    checks.that(f"{name}: it has the title of the notice", dialog.get_by_role("heading").inner_text() == "May a chatbot answer you?")
    checks.that(f"{name}: no switch is on", page.locator("input:checked").count() == 0 and page.get_by_role("switch").count() == 3)
    checks.that(f"{name}: the focus is in the dialog", page.evaluate("document.activeElement.shadowRoot?.activeElement?.tagName") == "H2")
    looks = [page.locator(f"[data-action={b}]").evaluate("b => [getComputedStyle(b).backgroundColor, getComputedStyle(b).color, b.offsetWidth, b.offsetHeight].join()") for b in ("accept", "decline")]
    checks.that(f"{name}: to decline looks like to accept", looks[0] == looks[1], str(looks))
    low = [c for c in page.locator("dialog :is(h2, .text p, .purpose .title, .purpose p, .action, .more a)").evaluate_all(f"all => all.map({CONTRAST})") if c < 4.5]
    checks.that(f"{name}: all text can be read", not low, str(low))
    fits = dialog.evaluate("d => d.scrollWidth <= d.clientWidth && d.getBoundingClientRect().right <= innerWidth && document.documentElement.scrollWidth <= innerWidth")
    checks.that(f"{name}: nothing is wider than the window", fits)
    status, _ = site.say(page)
    checks.that(f"{name}: before an answer nothing is forwarded", status == 403 and not site.chatbot.take(), str(status))

    dialog.get_by_label("Support").check()
    dialog.get_by_role("button", name="Save choice").click()
    expect(dialog).to_have_count(0)
    for way, how in (("fetch", SAY), ("XHR", XHR)):
        status, text = site.say(page, how=how)
        checks.that(f"{name}: {way} carries the consent, and the values come back", status == 200 and EMAIL in text, f"{status} {text}")
        clean(checks, site.chatbot, f"{name}, {way}")
    page.evaluate(EVENTS, site.gateway + "/events")
    checks.that(f"{name}: so does EventSource", page.answers.get(site.gateway + "/events") == 404, str(page.answers))
    code = page.evaluate(SOCKET, site.gateway.replace("http", "ws") + "/socket")
    checks.that(f"{name}: so does WebSocket", code == 1006, str(code))
    page.evaluate("fetch('/v1/embeddings', { method: 'POST', body: '{}' })")
    site.chatbot.requests_own = b"\n".join(site.chatbot.take()).decode().lower()
    checks.that(f"{name}: no other server gets the headers", "privet" not in site.chatbot.requests_own, site.chatbot.requests_own[:500])

    page.reload()
    page.wait_for_timeout(500)
    checks.that(f"{name}: the answer is remembered", page.get_by_role("dialog").count() == 0 and site.say(page)[0] == 200)
    status, _ = site.say(page, path="/marketing")
    expect(page.get_by_role("dialog")).to_be_visible(timeout=5_000)
    checks.that(f"{name}: what was not agreed to is refused, and asked for", status == 403)
    checks.that(f"{name}: with the switches as they were answered", [box.is_checked() for box in page.get_by_role("switch").all()] == [True, False, False])
    site.chatbot.take()
    page.get_by_role("button", name="Withdraw everything").click()
    expect(page.get_by_role("status")).to_contain_text("Messages are refused", timeout=5_000)
    site.shot(page, f"{name}-withdrawn")
    checks.that(f"{name}: the withdrawal tells what changes, and no switch is on", page.locator("input:checked").count() == 1)
    links = [link.get_attribute("href") for link in page.get_by_role("link").all()]
    checks.that(f"{name}: the way to one's data is shown", [link.split("/.privet/")[-1] for link in links] == ["me", "me#delete"], str(links))
    status, _ = site.say(page)
    checks.that(f"{name}: from then on nothing is forwarded", status == 403 and not site.chatbot.take(), str(status))
    code = page.evaluate(SOCKET, site.gateway.replace("http", "ws") + "/socket")
    checks.that(f"{name}: nor by a socket", code == 1008, str(code))
    checks.that(f"{name}: the browser has nothing to complain of", not page.complaints, str(page.complaints))
    page.context.close()


def by_keyboard(site):
    page = site.visit()
    expect(page.get_by_role("dialog")).to_be_visible(timeout=10_000)
    inside = "document.activeElement.shadowRoot?.activeElement?.getAttribute('name') ?? document.activeElement.shadowRoot?.activeElement?.dataset.action ?? null"
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(inside))
        if seen[-1] == "support":
            page.keyboard.press("Space")
        if seen[-1] == "save":
            break
    site.shot(page, "keyboard")
    checks.that("keyboard: the order is that of reading", seen == ["support", "marketing", "product", "decline", "save"], str(seen))
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    checks.that("keyboard: the choice counts", site.say(page)[0] == 200)
    checks.that("keyboard: the focus is back on the page", page.evaluate("document.activeElement.id") == "privet-button")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    checks.that("keyboard: Escape closes and changes nothing", site.say(page)[0] == 200)
    site.chatbot.take()
    page.context.close()


def declined(site):
    page = site.visit("german.html", color_scheme="dark")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Darf ein Chatbot antworten?", timeout=10_000)
    site.shot(page, "german-dark")
    dialog.get_by_role("button", name="Alles ablehnen").click()
    expect(dialog).to_have_count(0)
    checks.that("declined: it is remembered as an answer", page.evaluate("privet.answer()") == {"support": False, "marketing": False, "product": False}, str(page.evaluate("privet.answer()")))
    checks.that("declined: nothing is forwarded", site.say(page)[0] == 403 and not site.chatbot.take())
    receipt = page.evaluate("privet.receipt()")
    checks.that("declined: the refusal is on record", receipt["event"][-1]["event_state"] == "consent_refused" or receipt["event"][0]["event_state"] == "consent_refused", str(receipt["event"]))
    checks.that("declined: by the widget, under the German notice", receipt["event"][0]["channel"] == "widget" and receipt["event"][0]["language"] == "de")
    page.context.close()


def deep_chat(site):
    page = site.visit("deep-chat.html")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible(timeout=10_000)
    themed = page.locator("[data-action=accept]").evaluate("b => getComputedStyle(b).backgroundColor")
    checks.that("deep-chat: the page's colours are used", themed == "rgb(120, 40, 160)", themed)
    site.shot(page, "deep-chat")
    dialog.get_by_role("button", name="Accept all").click()
    expect(dialog).to_have_count(0)
    written = page.locator("#text-input")
    written.click()
    page.keyboard.type(f"Please write to {EMAIL} today.", delay=5)
    page.keyboard.press("Enter")
    expect(page.locator(".ai-message-text").last).to_have_text(f"You said: Please write to {EMAIL} today.", timeout=15_000)
    clean(checks, site.chatbot, "deep-chat")
    page.evaluate("privet.withdraw('support')")
    written.click()
    page.keyboard.type("Still there?", delay=5)
    page.keyboard.press("Enter")
    expect(page.locator(".error-message-text").first).to_be_visible(timeout=15_000)
    checks.that("deep-chat: after the withdrawal nothing arrives", not site.chatbot.take())
    page.context.close()


def my_data(site):
    """From the dialog to one's data, and to its end."""
    page = site.visit("deep-chat.html")
    page.get_by_role("dialog").get_by_role("button", name="Accept all").click(timeout=10_000)
    checks.that("my data: a value is kept", site.say(page)[0] == 200)
    site.chatbot.take()
    page.get_by_role("button", name="Privacy choices").click()
    page.get_by_role("link", name="Delete my data").click()
    expect(page.get_by_role("heading", name="Who are you?")).to_be_visible(timeout=10_000)
    checks.that("my data: nothing is shown before one is known", EMAIL not in page.content())
    page.get_by_label("customer id").fill("visitor-7")
    page.get_by_role("button", name="Send me a code").click()
    expect(page.get_by_label("The code")).to_be_visible(timeout=10_000)
    page.get_by_label("The code").fill("AAAAAAAA")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).not_to_be_empty(timeout=10_000)
    checks.that("my data: a wrong code opens nothing", EMAIL not in page.content())
    for _ in range(200):
        if site.mailbox.codes:
            break
        page.wait_for_timeout(50)
    page.get_by_label("The code").fill(site.mailbox.codes[-1])
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("cell", name=EMAIL, exact=True)).to_be_visible(timeout=10_000)
    site.shot(page, "my-data")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download as JSON").click()
    with open(downloading.value.path(), encoding="utf-8") as file:
        values = [value["value"] for value in json.load(file)["values"]]
    checks.that("my data: what is kept can be taken along", values == [EMAIL], str(values))
    page.get_by_role("button", name="Erase my data").click()
    page.get_by_role("button", name="Erase", exact=True).click()
    expect(page.get_by_role("heading", name="It is done")).to_be_visible(timeout=10_000)
    checks.that("my data: the erasure is confirmed, signed", page.get_by_label("Confirmation").input_value().count(".") == 2)
    checks.that("my data: the browser has nothing to complain of", not page.complaints, str(page.complaints))
    page.context.close()


def signed(site):
    """What the site has signed is withdrawn by a statement that it signs anew."""
    page = site.visit("signed.html")
    page.get_by_role("dialog").get_by_role("button", name="Accept all").click(timeout=10_000)
    expect(page.get_by_role("dialog")).to_have_count(0)
    checks.that("signed: after consent it is forwarded", [site.say(page)[0] for _ in range(2)] == [200, 200])
    site.chatbot.take()
    page.get_by_role("button", name="Privacy choices").click()
    page.get_by_role("button", name="Withdraw everything").click()
    expect(page.get_by_role("status")).to_contain_text("What changes", timeout=10_000)
    said = page.evaluate("window.signed")
    checks.that("signed: the withdrawal is a statement of its own", said == [{"support": True}, {"support": False}], str(said))
    page.get_by_role("button", name="Close", exact=True).click()
    status, _ = site.say(page)
    checks.that("signed: after the withdrawal nothing arrives", status == 403 and not site.chatbot.take(), str(status))
    page.context.close()


def main(binary, packages, folder=None):
    with tempfile.TemporaryDirectory() as files:
        shutil.copy(os.path.join(packages, "node_modules/deep-chat/dist/deepChat.bundle.js"), files)
        chatbot = Chatbot(files)
        mailbox = Mailbox()
        with Gateway(binary, chatbot, TOML.replace("PAGE", chatbot.url).replace("MAILBOX", mailbox.url)) as running:
            for name, text in (("index.html", PAGE.replace("LANG", "en")), ("german.html", PAGE.replace("LANG", "de")), ("deep-chat.html", DEEP_CHAT)):
                with open(os.path.join(files, name), "w", encoding="utf-8") as file:
                    file.write(text.replace("GATEWAY", running.url).replace("SOCKET", running.url.replace("http", "ws")))
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
                site = Site(browser, chatbot.url, running.url, chatbot, mailbox, folder)
                checks.section("wide", asks, site, "wide")
                narrow = {"viewport": {"width": 360, "height": 700}, "color_scheme": "dark"}
                checks.section("narrow", lambda: asks(site, "narrow", **narrow))
                for part in (by_keyboard, declined, deep_chat, my_data):
                    checks.section(part.__name__, part, site)
                with Gateway(binary, chatbot, SIGNED.replace("PAGE", chatbot.url)) as other:
                    with open(os.path.join(files, "signed.html"), "w", encoding="utf-8") as file:
                        file.write(SIGNED_PAGE.replace("GATEWAY", other.url))
                    checks.section("signed", signed, Site(browser, chatbot.url, other.url, chatbot, mailbox, folder))
                browser.close()


if __name__ == "__main__":
    checks.section("start", main, *sys.argv[1:])
    checks.close()
