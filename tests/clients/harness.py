"""What the client tests share: the values that are planted, counted checks, a
program under test, and a gateway in front of a chatbot that records."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

NAME = "Anna Kowalska"
EMAIL = "anna.kowalska@example.com"
PHONE = "+44 20 7946 0958"
CARD = "4111 1111 1111 1111"
IBAN = "GB82 WEST 1234 5698 7654 32"
ADDRESS = "203.0.113.24"
VALUES = [NAME, EMAIL, PHONE, CARD, IBAN, ADDRESS]
TEXT = (
    f"Hello, my name is {NAME}.\nPlease write to {EMAIL} or call {PHONE}. "
    f"My card is {CARD}, my IBAN is {IBAN}, and I connect from {ADDRESS}. “Thanks”, grüße!"
)
# A part of a value is as bad as the whole of it.
FORBIDDEN = VALUES + ["Kowalska", "anna.kowalska", "7946 0958", "1111 1111", "1234 5698", CARD.replace(" ", "")]

TOKEN = re.compile(r"\[[A-Z][A-Z_]{1,24}_[0-9A-HJKMNP-TV-Z]{8}\]")


class Checks:
    """Counts what holds and what does not, and says which."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def that(self, what, holds, otherwise=""):
        if holds:
            self.passed += 1
            print(f"ok      {what}")
        else:
            self.failed += 1
            print(f"FAILED  {what}" + (f": {otherwise}" if otherwise else ""))

    def section(self, name, run, *args):
        """Runs a group of checks; what breaks it off counts as one failure."""
        try:
            run(*args)
        except Exception as error:  # the other groups still have something to say
            self.that(name, False, f"{type(error).__name__}: {error}")

    def close(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)


class Program:
    """`privet …` as a child process, with the addresses that it prints."""

    def __init__(self, binary, *args, env=None, names=("gateway", "admin")):
        self.process = subprocess.Popen(
            [binary, *args],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self.addresses = {}
        self.lines = []
        deadline = threading.Timer(60, self.process.kill)
        deadline.start()
        while not all(name in self.addresses for name in names):
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(f"privet {args[0]} ended with {self.process.wait()} before it said its addresses")
            self.lines.append(line.rstrip("\n"))
            if found := re.match(r"([a-z ]+): (https?://\S+)", line):
                self.addresses[found[1]] = found[2].rstrip("/")
        deadline.cancel()

    def next_line(self):
        self.lines.append(self.process.stdout.readline().rstrip("\n"))
        return self.lines[-1]

    def stop(self):
        """SIGTERM, and the exit code; -9 where it had to be killed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()


class Gateway(Program):
    """`privet serve` in front of `chatbot`, with a vault in memory; more
    configuration may follow."""

    def __init__(self, binary, chatbot, toml=""):
        self.chatbot = chatbot
        self.folder = tempfile.TemporaryDirectory()
        config = os.path.join(self.folder.name, "privet.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'upstream = "{chatbot.url}"\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nvault = "memory:"\n{toml}')
        key = base64.b64encode(os.urandom(32)).decode()
        super().__init__(binary, "serve", "--config", config, env={"PRIVET_KEY": key})
        self.url = self.addresses["gateway"]

    def __exit__(self, *end):
        super().__exit__(*end)
        self.folder.cleanup()


def headers(subject="customer-1", consent="support"):
    """What a site sends with each request; no subject where it is None."""
    given = {"Privet-Consent": consent}
    return {**given, "Privet-Subject": subject} if subject else given


def clean(checks, chatbot, what):
    """Nothing planted has arrived, and something has; returns it."""
    arrived = b"\n".join(chatbot.take())
    checks.that(f"{what}: the chatbot was asked", arrived)
    text = arrived.decode()
    found = [FORBIDDEN.index(v) for v in FORBIDDEN if v in text or json.dumps(v)[1:-1] in text]
    checks.that(f"{what}: nothing personal arrived", not found, f"planted values {found} did")
    checks.that(f"{what}: no header of Privet's arrived", "privet-" not in text.lower().split("\n\n")[0])
    return text


def chromium():
    """The browser on the path, or the one that CHROMIUM names."""
    for name in (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        if name and shutil.which(name):
            return shutil.which(name)
    raise RuntimeError("no Chromium found; name one in CHROMIUM")


CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"]
