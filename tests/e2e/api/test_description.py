"""A box's administration API does what its description says (docs/openapi.json): schemathesis sends to each operation
what the description allows and what it does not, and holds every answer against it.

Each operation is asked by the least who may, by the description: its role has to be enough.
"""

from collections import defaultdict

import schemathesis
from callers import Callers, load_box, patiently
from schemathesis.checks import CHECKS, load_all_checks

# No other file claims it: those of web/ have the first one and the last.
BOX = load_box(2)
# Generated requests for each operation, besides those that go through all that its description says.
EXAMPLES = 8
# The requests are the same each time.
SEED = 1
CHECKED = {
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "ignored_auth",
    "unsupported_method",
}

# Operations that are not asked, and why.
LEFT_OUT = {
    "benchmark": "takes a core for some ten seconds, and no other job runs meanwhile",
    "restart": "ends the box that is asked",
}
# Checks that an operation is not held against, and why.
UNCHECKED = {
    "events": {"response_schema_conformance": "by OpenAPI 3.1 a stream is a text, and schemathesis takes it apart"},
}
# Operations that refuse all that they are asked here, and why.
REFUSED = {
    "add-passkey": "nobody began to",
    "add-passkey-start": "passkeys belong to names, and the box has an address",
    "approve-box": "the box's page is told of no registrar",
    "change-password": "the password is not guessed",
    "claim": "the box was claimed",
    "confirm-totp": "the code is not guessed",
    "decline-box": "the box's page is told of no registrar",
    "delete-passkey": "there is none",
    "delete-totp": "there is none",
    "inbox": "the box's page is told of no registrar",
    "login": "the password is not guessed",
    "passkey-login": "nobody began to",
    "passkey-login-start": "passkeys belong to names, and the box has an address",
    "put-backup-file": "the names of its files are not guessed",
    "recover": "the box's screen shows no new code",
    "renew-certificate": "the box has no registrar",
    "restore": "there is no backup, and the identity is not guessed",
    "roll-back": "the box does not run from the image",
    "set-network": "the box does not run from the image",
    "take-update": "the box does not run from the image",
    "update": "the box does not run from the image",
}

# What was answered before would be sent again, users' names among it: what is asked for is chosen here.
PHASE = {"extra-data-sources": {"responses": False}}
CONFIG = {
    "seed": SEED,
    "tls-verify": BOX["certificate"],
    "request-timeout": 60,
    "max-stream-events": 1,
    "generation": {
        "deterministic": True,
        "max-examples": EXAMPLES,
        "no-shrink": True,
        # Those of a caller are right ones, and `ignored_auth` sends wrong ones.
        "with-security-parameters": False,
    },
    "phases": {
        "examples": PHASE,
        "coverage": PHASE,
        "fuzzing": {**PHASE, "error-feedback": {"enabled": False}},
    },
}


def described(operation):
    return operation.definition.raw


def name_of(operation):
    return described(operation)["operationId"]


load_all_checks()
SCHEMA = schemathesis.openapi.from_url(
    f"{BOX['ui']}api/v1/openapi.json", config=schemathesis.Config.from_dict(CONFIG)
)
OPERATIONS = {name_of(found.ok()): described(found.ok()) for found in SCHEMA.get_all_operations()}
# Requests are made when the tests are collected, and bear who sends them from then on.
CALLERS = Callers(BOX)
CALLER = {name: CALLERS.caller(operation) for name, operation in OPERATIONS.items()}
TARGETS = CALLERS.targets()
ANSWERED = defaultdict(set)


@SCHEMA.auth(refresh_interval=None)
class LeastWhoMay:
    def get(self, case, context):
        return CALLER[name_of(case.operation)]

    def set(self, case, data, context):
        case.headers.update(data)


def is_of_coverage(case):
    mode, phase = case.meta.generation.mode, case.meta.phase.name
    return mode.is_positive and phase.value == "coverage" and case.method == case.operation.method.upper()


def send(case):
    """Sends a request, and once more by somebody else where the box says that changes come too fast."""
    name = name_of(case.operation)
    case.headers.update(CALLER[name])
    if name in TARGETS and is_of_coverage(case):
        case.path_parameters.update(TARGETS[name])
    answer = patiently(case.call)
    if answer.status_code == 429 and answer.json()["code"] == "too-many-changes":
        CALLER[name] = CALLERS.caller(OPERATIONS[name])
        case.headers.update(CALLER[name])
        answer = patiently(case.call)
    ANSWERED[name].add(answer.status_code)
    return answer


@SCHEMA.exclude(lambda context: name_of(context.operation) in LEFT_OUT).parametrize()
def test_it_does_what_it_says(case):
    checks = sorted(CHECKED - UNCHECKED.get(name_of(case.operation), {}).keys())
    case.validate_response(send(case), checks=CHECKS.get_by_names(checks))


def test_what_is_allowed_was_done():
    refused = {name for name, statuses in ANSWERED.items() if not any(200 <= status < 300 for status in statuses)}
    assert refused == REFUSED.keys()
    assert OPERATIONS.keys() - ANSWERED.keys() == LEFT_OUT.keys()
