"""Sends events over HTTP in batches, waits when told to, remembers how far it came, and goes on from there."""

import gzip
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import msgspec

from usage.calc.limits import BATCH_EVENTS, BODY_BYTES

_encode = msgspec.json.Encoder(decimal_format="number").encode
_CONTENT_TYPE = "application/cloudevents-batch+json"
_LONGEST_WAIT = 10.0


class Stopped(RuntimeError):
    """Nothing more can be sent; the message says why, and what to do before running the same command again."""


@dataclass(slots=True)
class Progress:
    """How far the sending of one file came. `digest` names the file's content, `rows` those that were answered."""

    digest: str
    source: str
    rows: int = 0
    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    rejected: int = 0

    @classmethod
    def load(cls, path: Path, digest: str, source: str) -> "Progress":
        """Return what was noted for this very file, else a fresh start."""
        try:
            noted = cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return cls(digest, source)
        return noted if (noted.digest, noted.source) == (digest, source) else cls(digest, source)

    def save(self, path: Path) -> None:
        """Note it; a crash leaves the note before or this one, never half of one."""
        draft = path.with_suffix(path.suffix + ".new")
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(path)


class Sender:
    """Posts batches with one key. `rate` limits events a second (0: as fast as the answers come)."""

    def __init__(self, url: str, key: str, rate: float = 0, patience: float = 300) -> None:
        self.url = url.rstrip("/") + "/api/v1/events"
        self.rate = rate
        self.patience = patience
        headers = {"Authorization": f"Bearer {key}", "Content-Type": _CONTENT_TYPE, "Content-Encoding": "gzip"}
        self.client = httpx.Client(headers=headers, timeout=60, trust_env=False)

    def send(self, events: Iterable[Any], progress: Progress, note: Callable[[Progress], None]) -> None:
        """Send what is not sent yet, and call `note` after each batch. Raises Stopped."""
        started, sent = time.monotonic(), 0
        for batch in _batches(islice(iter(events), progress.rows, None)):
            for body, count in _bodies(batch):
                self._count(self._post(body), progress)
                progress.rows += count
                sent += count
                note(progress)
            if self.rate:
                time.sleep(max(0.0, started + sent / self.rate - time.monotonic()))

    def _post(self, body: bytes) -> dict[str, Any]:
        """The answer to one batch. A batch whose answer was lost is sent again: its events count once."""
        deadline, pause = time.monotonic() + self.patience, 0.5
        packed = gzip.compress(body, compresslevel=1)
        while True:
            try:
                response = self.client.post(self.url, content=packed)
            except httpx.TransportError as error:
                problem, wait = f"no answer from {self.url} ({error})", pause
            else:
                if response.status_code not in (429, 503):
                    return _answer(response)
                problem, wait = f"{response.status_code} from {self.url}", _retry_after(response, pause)
            if time.monotonic() + wait > deadline:
                raise Stopped(f"Gave up after {self.patience:.0f} s: {problem}. Run the same command to go on.")
            time.sleep(wait)
            pause = min(pause * 2, _LONGEST_WAIT)

    def _count(self, answer: dict[str, Any], progress: Progress) -> None:
        for name in ("accepted", "duplicate", "quarantined", "rejected"):
            setattr(progress, name, getattr(progress, name) + answer[name])
        if answer["rejected"]:
            first = next(result for result in answer["results"] if result["status"] == "rejected")
            raise Stopped(f"{answer['rejected']:,} events were rejected, the first with: {first.get('detail')}")


def _batches(events: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(events, BATCH_EVENTS)):
        yield batch


def _bodies(batch: list[Any]) -> Iterator[tuple[bytes, int]]:
    """The batch as one body, or as several when it is too large for one."""
    body = _encode(batch)
    if len(body) <= BODY_BYTES or len(batch) == 1:
        yield body, len(batch)
        return
    middle = len(batch) // 2
    yield from _bodies(batch[:middle])
    yield from _bodies(batch[middle:])


def _answer(response: httpx.Response) -> dict[str, Any]:
    try:
        body: dict[str, Any] = response.json()
    except ValueError:
        body = {}
    if "accepted" in body:
        return body
    detail = body.get("detail") or response.text[:200]
    raise Stopped(f"{response.status_code}: {detail}")


def _retry_after(response: httpx.Response, otherwise: float) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else otherwise
