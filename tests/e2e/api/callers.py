"""Who asks a box's administration API: its first user, a user whom he makes, and API tokens."""

import base64
import hmac
import json
import os
import struct
import time
from pathlib import Path

import requests

COOKIE = "__Host-dolmen-session"
OFFICER = {"name": "li.na", "password": "four unrelated words"}
# A public key of age, whose secret half nobody needs.
RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
WAIT_S = 60


def load_box(index):
    """A box of the devnet."""
    path = os.environ.get("DOLMEN_DEVNET")
    assert path, "DOLMEN_DEVNET is not set: point it at the devnet.json of a running devnet"
    return json.loads(Path(path).read_text())["boxes"][index]


def patiently(ask):
    """Asks again where the box says that it is busy, and when to come again: it hashes a few passwords a second."""
    deadline = time.monotonic() + WAIT_S
    while True:
        answer = ask()
        if answer.status_code != 503 or "retry-after" not in answer.headers or time.monotonic() > deadline:
            return answer
        time.sleep(1)


def totp(secret):
    """The code of now of an authenticator app (RFC 6238, with RFC 4226 §5.3)."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", int(time.time()) // 30), "sha1")
    (number,) = struct.unpack_from(">I", digest, digest[-1] & 15)
    return f"{(number & 0x7FFFFFFF) % 10**6:06}"


class Client:
    """Somebody at a box, who knows its certificate."""

    def __init__(self, box, token=None):
        self.base = f"{box['ui']}api/v1"
        self.http = requests.Session()
        # Or REQUESTS_CA_BUNDLE would count, and not the certificate.
        self.http.trust_env = False
        self.http.verify = box["certificate"]
        if token:
            self.http.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method, path, body=None):
        """What a request is answered that nobody refuses."""
        answer = patiently(lambda: self.http.request(method, self.base + path, json=body, timeout=WAIT_S))
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def enter(self, method, path, body):
        """A request that is answered with a session, which is this one's from now on."""
        made = self.ask(method, path, body)
        self.http.headers["X-CSRF-Token"] = self.ask("GET", "/session")["csrf_token"]
        return made

    def shown(self):
        """The headers by which the session is known."""
        return {"Cookie": f"{COOKIE}={self.http.cookies[COOKIE]}", "X-CSRF-Token": self.http.headers["X-CSRF-Token"]}


class Callers:
    """Claims a box and makes who is needed, each once: nobody's changes come too fast for another."""

    def __init__(self, box):
        self.box = box
        officer = Client(box)
        code = Path(box["claim_code"]).read_text().strip()
        officer.enter("POST", "/claim", {"claim_code": code, **OFFICER})
        secret = officer.ask("POST", "/me/totp")["secret_base32"]
        officer.enter("POST", "/me/totp/confirm", {"totp": totp(secret)})
        made = officer.ask("POST", "/tokens", {"name": "maker", "role": "security-officer", "days": 1})
        self.maker = Client(box, made["token"])
        self.tokens = 0
        # Whoever has no second factor yet may still look after himself, and his password is enough to come in.
        self.user = {"name": "wang.fang"}
        self.user["password"] = self.add_user("wang.fang")["one_time_password"]
        self.session = self.log_in()

    def add_user(self, name):
        return self.maker.ask("POST", "/users", {"name": name, "role": "viewer"})

    def add_token(self, role):
        self.tokens += 1
        return self.maker.ask("POST", "/tokens", {"name": f"{role}-{self.tokens}", "role": role, "days": 1})

    def log_in(self):
        session = Client(self.box)
        session.enter("POST", "/session", self.user)
        return session.shown()

    def caller(self, operation):
        """Headers of the least who may do it by the description; none where everybody may."""
        ways = {scheme: roles for way in operation["security"] for scheme, roles in way.items()}
        if "token" in ways:
            return {"Authorization": f"Bearer {self.add_token(*ways['token'])['token']}"}
        if "session" in ways:
            return self.log_in() if operation["operationId"] == "logout" else self.session
        return {}

    def targets(self):
        """Path parameters of what there is, for operations that somebody might send to what there is not alone."""
        operator = Client(self.box, self.add_token("operator")["token"])
        job = operator.ask("POST", "/backups", {"recipients": [RECIPIENT]})["job"]
        deadline = time.monotonic() + WAIT_S
        while operator.ask("GET", f"/jobs/{job}")["state"] == "running":
            assert time.monotonic() < deadline, "the backup does not end"
            time.sleep(0.1)
        for name in ("zhang.wei", "liu.yang"):
            self.add_user(name)
        return {
            "job": {"id": job},
            "backup-file": {"file": "manifest.json"},
            "change-user": {"name": "zhang.wei"},
            "delete-user": {"name": "liu.yang"},
            "delete-token": {"id": self.add_token("viewer")["id"]},
            "rotate-key": {"use": "tls"},
        }
