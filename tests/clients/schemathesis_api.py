"""The admin API against its own OpenAPI document: schemathesis makes requests
that fit it and requests that do not, and checks what is answered.

    schemathesis_api.py PATH/TO/privet
"""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request

from harness import Checks, Program

# Requests for each operation and phase.
EXAMPLES = os.environ.get("PRIVET_SCHEMATHESIS_EXAMPLES", "30")

# Each operation with an admin's key, who may do everything.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
]

checks = Checks()
binary = sys.argv[1]
folder = tempfile.mkdtemp(prefix="privet-schemathesis-")
environment = {"PRIVET_KEY": base64.b64encode(os.urandom(32)).decode()}
vault = ["--vault", f"embedded:{folder}/vault"]


def command(*arguments):
    done = subprocess.run(
        [binary, *arguments, *vault], capture_output=True, text=True, env={**os.environ, **environment}, check=True
    )
    return done.stdout.strip()


def status(method, path, bearer=None):
    """What an operation is answered with, without a body."""
    request = urllib.request.Request(admin + urllib.parse.quote(path), method=method.upper())
    if bearer:
        request.add_header("Authorization", f"Bearer {bearer}")
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as refusal:
        return refusal.code


command("vault", "init")
key = command("operator", "add", "tester", "--role", "admin")
ports = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
privet = Program(binary, "serve", "--upstream", "http://127.0.0.1:1", *ports, *vault, env=environment)
admin = privet.addresses["admin"]

run = subprocess.run(
    [
        os.path.join(os.path.dirname(sys.executable), "schemathesis"),
        "run",
        f"{admin}/api/v1/openapi.json",
        "--url",
        admin,
        "--header",
        f"Authorization: Bearer {key}",
        "--checks",
        ",".join(CHECKS),
        "--max-examples",
        EXAMPLES,
        "--seed",
        "1",
        "--no-color",
        # Who takes away his own key is asked to log in again.
        "--exclude-path",
        "/api/v1/operators/{name}",
    ],
    capture_output=True,
    text=True,
    # It leaves a folder where it runs.
    cwd=folder,
    timeout=280,
    check=False,
)
print(run.stdout[-6000:], run.stderr[-2000:])
with urllib.request.urlopen(f"{admin}/api/v1/openapi.json") as answered:
    document = json.load(answered)
for path, operations in document["paths"].items():
    for method, operation in operations.items():
        if not operation["security"]:
            continue
        what = f"{method.upper()} {path}"
        checks.that(f"{what} asks for a login", status(method, path) == 401)
        # After ten that failed in a minute all that fail are refused as too many.
        checks.that(f"{what} takes no wrong key", status(method, path, "pvk_" + "0" * 40) in (401, 429))
checks.that("schemathesis finds nothing", run.returncode == 0, f"it ended with {run.returncode}")
tested = re.search(r"(\d+) (?:generated|passed)", run.stdout)
checks.that("schemathesis made requests", tested is not None)
checks.that("the gateway still serves", command("operator", "list").count("tester") == 1)
checks.that("the access log is whole", command("audit", "verify").startswith("whole"))
privet.process.terminate()
privet.process.wait()
checks.close()
