"""Sending requests to one endpoint: at most so many at a time, tried again where that may help, never to another host.

The token is read from the environment at every request. It is held nowhere else, so that no run file, fingerprint,
pickle or error can carry it.
"""

from __future__ import annotations

import base64
import email.utils
import importlib.util
import ipaddress
import json
import os
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

from mmaudit.errors import BadInput, MissingExtra
from mmaudit.models.endpoint_line import Line, Lines

ANSWERED = (200, 201)
AGAIN = (408, 425, 429, 502, 503, 504)
"""Statuses that say: not now. 500 is not among them: it is what a model that fails on these rows answers."""

MOVED = (307, 308)
HOPS = 3
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  # s
_SHOWN = 200
_SECRET = ("key", "token", "secret", "password", "passwd", "signature", "sig", "credential", "auth", "code")


class Refused(ValueError):
    """The endpoint did not answer these rows. (No `BadInput`: it may answer others.)"""


@dataclass(frozen=True)
class Answer:
    """The body of an answer, and what the endpoint calls its model's version; empty where it does not say."""

    content: bytes
    version: str


@dataclass(frozen=True)
class Limits:
    """How long to wait and how much to take.

    Attributes:
        timeout: seconds from sending a request to the end of its answer, however slowly that comes; `EndpointModel`
            says what holds for setting up a connection.
        retries: how often a request is sent again.
        longest: seconds that are waited between two tries, at most.
        size: bytes of an answer, at most.
    """

    timeout: float
    retries: int
    longest: float
    size: int


def checked_address(who: str, url: str, *, token: bool) -> str:
    """Return the address; raises `BadInput` where sending data or a token there would be unsafe.

    Args:
        who: heads the message.
        url: `https://host[:port]/path`, or `http://` on this computer.
        token: whether a token is going to be sent.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise BadInput(f"{who}: the address is not usable: {error}.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise BadInput(f"{who}: {shown(url)!r} is no address; give https://host/path.")
    if parts.username is not None or parts.password is not None:
        raise BadInput(f"{who}: the address holds a user name or password; put a token into the environment instead.")
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if any(part in _SECRET for part in name.lower().replace("-", "_").split("_")) or name.lower() in (
            "apikey",
            "accesskey",
            "sas",
        ):
            raise BadInput(
                f"{who}: the address holds {name!r}, which would stand in run files; put it into the environment and "
                "name that by token_env=."
            )
    if parts.scheme == "http" and not is_local(host):
        what = "inputs and the token" if token else "inputs"
        raise BadInput(f"{who}: http:// would send {what} readable to everyone on the way to {host}; use https://.")
    return url


def is_local(host: str) -> bool:
    """Whether a host's name or address is this computer's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def shown(url: str) -> str:
    """An address without user, query and fragment, for messages."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"[:_SHOWN]


class Sender:
    """Posts bodies to one address. Threads may share it; pickling drops its connections."""

    def __init__(self, who: str, url: str, limits: Limits, kind: str, token_env: str, header: str) -> None:
        if importlib.util.find_spec("httpx") is None:
            raise MissingExtra("httpx", "http")
        self.who = who
        self.url = url
        self.limits = limits
        self.kind = kind
        self.token_env = token_env
        self.header = header
        # A proxy of the environment cannot reach this computer's own services.
        self._lines = Lines(trust_env=not is_local(urlsplit(url).hostname or ""), timeout=limits.timeout)

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        self._lines.close()

    def post(self, body: bytes) -> Answer:
        """Send one request until it is answered.

        Raises:
            Refused: the endpoint says that it cannot answer these rows (400, 413, 422, 500, …), or its answer is too
                large.
            BadInput: it cannot be reached, asks to wait too long, wants another token or address, or redirects to
                another host: no row would be answered.
        """
        httpx: Any = importlib.import_module("httpx")
        why, wait = "", 0.0
        for attempt in range(self.limits.retries + 1):
            if attempt:
                time.sleep(wait)
            try:
                found = self._once(body)
            except (httpx.TransportError, _TooSlow) as error:
                why = f"{type(error).__name__.lstrip('_')}: {self._clean(str(error))}"
                wait = self._pause(attempt)
                continue
            if isinstance(found, Answer):
                return found
            why, asked = found
            if asked is not None and asked > self.limits.longest:
                raise BadInput(
                    f"{self.who}: {shown(self.url)} asks to wait {asked:.0f} s ({why}), more than the "
                    f"{self.limits.longest:.0f} s of longest_wait=; audit again later, on the same folder."
                )
            # What asks to come back at once is given time all the same: the tries would else be over in an instant.
            wait = max(asked or 0.0, self._pause(attempt))
        tries = "1 try" if self.limits.retries == 0 else f"{self.limits.retries + 1} tries"
        raise BadInput(
            f"{self.who}: {shown(self.url)} did not answer in {tries}; the last: {why}. See that the service runs and "
            "that the address is right, and run the same again: what is answered so far is kept."
        )

    def _once(self, body: bytes) -> Answer | tuple[str, float | None]:
        """The answer; or why it has to be asked again, and after how many seconds where it says so."""
        httpx: Any = importlib.import_module("httpx")
        with self._lines.borrowed() as line, line.within(self.limits.timeout):
            try:
                found = self._exchanged(line, body)
            except httpx.TransportError:
                if not line.late:
                    raise
            # An answer that does not state its length looks whole where its connection was shut down.
            if line.late:
                raise _TooSlow(f"the answer took more than {self.limits.timeout:g} s")
            return found

    def _exchanged(self, line: Line, body: bytes) -> Answer | tuple[str, float | None]:
        url = self.url
        headers = {"Content-Type": self.kind, "Accept": self.kind, "Accept-Encoding": "identity", **self._token()}
        sent = {"content": body, "headers": headers, "extensions": {"trace": line.seen}}
        ends = time.monotonic() + self.limits.timeout
        for _ in range(HOPS + 1):
            with line.client.stream("POST", url, follow_redirects=False, **sent) as response:
                status = response.status_code
                if status in MOVED or 300 <= status < 400:
                    url = self._onward(url, status, response.headers.get("location", ""))
                    continue
                content = self._read(response, ends)
                if status in ANSWERED:
                    return Answer(content, str(response.headers.get("x-model-version", ""))[:_SHOWN])
                said = f"status {status}" + self._said(content)
                if status in AGAIN:
                    return said, _asked(response.headers.get("retry-after", ""))
                if status in (401, 403):
                    known = "is set" if os.environ.get(self.token_env) else "is not set"
                    raise BadInput(
                        f"{self.who}: {shown(url)} refuses access ({said}); the environment variable "
                        f"{self.token_env}, from which the token is taken, {known}."
                    )
                if status in (404, 405, 406, 410, 415):
                    raise BadInput(
                        f"{self.who}: {shown(url)} takes no {self.kind} by POST ({said}); check the address."
                    )
                only = f"; an answer has status {' or '.join(map(str, ANSWERED))}" if status < 300 else ""
                raise Refused(f"{self.who}: {shown(url)} did not answer: {said}{only}")
        raise BadInput(f"{self.who}: {shown(self.url)} redirects more than {HOPS} times; give the address it ends at.")

    def _onward(self, url: str, status: int, location: str) -> str:
        to = urljoin(url, location)
        here, there = urlsplit(url), urlsplit(to)
        same = (here.scheme, here.hostname, _port(here)) == (there.scheme, there.hostname, _port(there))
        if status not in MOVED or not location or not same:
            where = shown(to) if location else "nowhere"
            raise BadInput(
                f"{self.who}: {shown(url)} redirects to {where} (status {status}); inputs and token go to no other "
                "place than the one you named. If it is right, give that address."
            )
        return to

    def _read(self, response: Any, ends: float) -> bytes:
        if response.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
            raise Refused(f"{self.who}: {shown(self.url)} answers compressed, which was not asked for")
        parts, size = [], 0
        for part in response.iter_raw():
            size += len(part)
            if size > self.limits.size:
                raise Refused(f"{self.who}: the answer is larger than {self.limits.size} bytes (max_answer_bytes=)")
            if time.monotonic() > ends:
                raise _TooSlow(f"the answer took more than {self.limits.timeout:g} s")
            parts.append(part)
        return b"".join(parts)

    def _token(self) -> dict[str, str]:
        token = os.environ.get(self.token_env, "")
        if not token:
            return {}
        if not token.isascii() or not token.isprintable() or token != token.strip():
            raise BadInput(f"{self.who}: the environment variable {self.token_env} holds what no HTTP header can hold.")
        return {self.header: f"Bearer {token}" if self.header.lower() == "authorization" else token}

    def _said(self, content: bytes) -> str:
        text = self._clean(content[:2000].decode("utf-8", "replace"))
        return f": {text}" if text else ""

    def _clean(self, text: str) -> str:
        """One short line without the token, however it may have been written back."""
        token = os.environ.get(self.token_env, "")
        if token:
            forms = {token, quote(token, safe=""), quote(token), json.dumps(token)[1:-1], repr(token)[1:-1]}
            forms |= {base64.b64encode(f"{start}{token}".encode()).decode() for start in ("", "Bearer ")}
            for form in sorted(forms, key=len, reverse=True):
                text = text.replace(form, "[token]")
            # What was cut off in the middle of it, or written in some other way, is not shown at all.
            if any(token[i : i + 8] in text for i in range(max(1, len(token) - 7))):
                return "(its text is not shown, as it may hold the token)"
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"

    def _pause(self, attempt: int) -> float:
        # Spread out, so that requests that failed together do not come back together.
        return float(min(self.limits.longest, FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1.0))


class _TooSlow(Exception):
    """The answer trickles in more slowly than the time limit allows."""


def _port(parts: Any) -> int:
    return int(parts.port or (443 if parts.scheme == "https" else 80))


def _asked(header: str) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date (RFC 9110, section 10.2.3)."""
    if header.strip().isdecimal():
        return float(header.strip()[:9])
    try:
        moment = email.utils.parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
