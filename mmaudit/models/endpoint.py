"""A model behind an HTTP address."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmaudit.errors import BadInput, ContractBroken
from mmaudit.models.arguments import declared_outputs, known_modalities, matrix, modality_names, one_of, require_inputs
from mmaudit.models.endpoint_body import TYPES, Body, Unusable, answered, encoded
from mmaudit.models.endpoint_cache import Cache, row_keys
from mmaudit.models.endpoint_http import LONGEST_WAIT, Answer, Limits, Sender, checked_address, shown
from mmaudit.models.fingerprints import code_digest
from mmaudit.models.protocol import OutputArray, Outputs
from mmaudit.types import Array, Batch, digest

ASKED_AGAIN = 64
"""Rows found among kept answers that are asked again all the same, to see whether they still hold."""

TOKEN_ENV = "MMAUDIT_TOKEN"


class EndpointModel:
    """A served model: each batch is posted to an address, in pieces, several at a time.

    `mmaudit.models.endpoint_body` describes request and answer. The endpoint may name its model's version in the
    header `X-Model-Version`; an audit stops when that changes.

    A piece that cannot be delivered (no connection, time-out, status 408, 425, 429, 502, 503, 504) is sent again after
    0.5, 1, 2, … seconds, up to half less at random, or after what `Retry-After` asks if that is longer; when all tries
    are used up the audit stops, and goes on from there when it is run again. Rows that the endpoint refuses (400, 413,
    422, 500, …) are asked alone; what stays refused has no answer.

    Args:
        url: `https://host/path`; `http://` only on this computer. No user names, passwords or keys in it.
        modalities: names of its inputs, as the data set calls them and the request will.
        outputs: `"logits"`, `"probabilities"` or `"values"`: the scale of what it returns. Has to be said.
        body: `"json"` or `"npz"`, of request and answer. JSON numbers keep float32 exactly; npz is far smaller.
        prepare: per modality a function from an array of rows to the array that is sent. It must treat each row alone.
        absence: `"present"`: requests say which modalities are present in which rows, and the endpoint handles that.
            By default missing baselines stand in.
        request_rows: most rows in one request.
        concurrency: most requests under way at the same time, per process.
        timeout: seconds for one request and its answer, from connecting to the last byte. Only setting up a new
            connection may take longer: looking up the host's name has no limit of its own, and connecting to each of
            its addresses and TLS have this one each.
        retries: how often a request is sent again.
        longest_wait: seconds that are waited between two tries, at most.
        max_answer_bytes: an answer that is larger is refused.
        token_env: the environment variable that holds the token, if there is one. It is read when a request is sent,
            and is not kept.
        token_header: header that carries it: after `Bearer` in `Authorization`, by itself in any other.
        version: of the model behind the address: part of the fingerprint, and compared with `X-Model-Version`.
        cache: folder in which answers are kept by what was asked, for later audits; needs `version`. The first 64 rows
            found there are asked again and must be answered the same.
        name: shown in the report; host and path by default.
        fingerprint: replaces the digest of address and version.

    Raises:
        BadInput: an argument is missing or unsafe.
        MissingExtra: httpx is not installed.
    """

    def __init__(
        self,
        url: str,
        modalities: Sequence[str],
        *,
        outputs: Outputs | None = None,
        body: Body = "json",
        prepare: Mapping[str, Callable[[Array], Any]] | None = None,
        absence: Literal["present"] | None = None,
        request_rows: int = 32,
        concurrency: int = 4,
        timeout: float = 60.0,
        retries: int = 4,
        longest_wait: float = LONGEST_WAIT,
        max_answer_bytes: int = 64 * 2**20,
        token_env: str = TOKEN_ENV,
        token_header: str = "Authorization",
        version: str | None = None,
        cache: str | Path | None = None,
        name: str | None = None,
        fingerprint: str | None = None,
    ) -> None:
        self.name = name or shown(url).partition("://")[2]
        self._who = f"EndpointModel {self.name!r}"
        self.url = checked_address(self._who, url, token=True)
        self.modalities = modality_names(self._who, modalities)
        self.outputs = declared_outputs(self._who, outputs)
        one_of(self._who, "body", body, tuple(TYPES))
        one_of(self._who, "absence", absence, (None, "present"))
        known_modalities(self._who, "prepare", prepare or {}, self.modalities)
        for argument, value, least in (
            *(("request_rows", request_rows, 1), ("concurrency", concurrency, 1), ("retries", retries, 0)),
            ("max_answer_bytes", max_answer_bytes, 1),
        ):
            if not isinstance(value, int) or value < least:
                raise BadInput(f"{self._who}: {argument}={value!r} is not usable; give a whole number from {least} on.")
        for argument, seconds in (("timeout", timeout), ("longest_wait", longest_wait)):
            if not 0 < seconds < float("inf"):
                raise BadInput(f"{self._who}: {argument}={seconds!r} is not usable; give seconds above 0.")
        if cache is not None and not version and fingerprint is None:
            raise BadInput(
                f"{self._who}: cache= without version=: answers of one model would be taken for those of the next. "
                "Give version='…', and another one when the model behind the address changes."
            )
        self.native_absence = absence is not None
        self.version = version
        self._given = fingerprint
        self._body: Body = body
        self._prepare = dict(prepare or {})
        self._rows = request_rows
        self._concurrency = concurrency
        limits = Limits(float(timeout), retries, float(longest_wait), max_answer_bytes)
        self._sender = Sender(self._who, url, limits, TYPES[body], token_env, token_header)
        self._cache = Cache(self._who, None if cache is None else Path(cache))
        self._to_ask_again = ASKED_AGAIN
        self._seen_version = ""
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    @cached_property
    def fingerprint(self) -> str:
        """The one given, else a digest of address and version; and of what is sent.

        What the endpoint computes cannot be seen from here: say `version=`, or two models at one address are one run.
        """
        identity = self._given if self._given is not None else [self.url, self.version]
        prepare = {name: code_digest(function) for name, function in self._prepare.items()}
        return digest("endpoint", identity, self.modalities, self.outputs, self.native_absence, prepare)

    def close(self) -> None:
        """Close the connections; a later `predict` opens new ones."""
        self._sender.close()

    def predict(self, batch: Batch) -> OutputArray:
        """Return float32 [n, k] in the declared scale; NaN where the endpoint answers null.

        Raises:
            BadInput: a modality is not in the batch; or the endpoint cannot be reached, or refuses access.
            ValueError: the endpoint refuses some of these rows.
            ContractBroken: an answer is not of the documented form, the version changed, or a kept answer no longer
                holds.
        """
        require_inputs(self._who, batch, self.modalities)
        if self._cache.folder is None:
            return self._asked(batch)
        keys = row_keys(self.fingerprint, batch, self.modalities, self.native_absence)
        known = [self._cache.get(key) for key in keys]
        if len({len(answer) for answer in known if answer is not None}) > 1:
            known = [None] * len(
                keys
            )  # a model answers all rows alike: the files are not what was written, so ask anew
        self._require_held(batch, known)
        # Each question once, however many rows put it.
        first = {key: row for row, key in reversed(list(enumerate(keys)))}
        new = np.array([row for row, key in enumerate(keys) if known[row] is None and first[key] == row], np.int64)
        if len(new):
            self._cache.put([keys[row] for row in new], self._asked(batch.take(new)))
        rows = [row for key in keys if (row := self._cache.get(key)) is not None]
        if len(widths := {len(row) for row in rows}) > 1:
            said = (
                f"kept answers and new ones have {' or '.join(map(str, sorted(widths)))} columns; give another cache="
            )
            raise ContractBroken(self._who, "shape", said)
        return matrix(self._who, np.stack(rows), len(batch))

    def _require_held(self, batch: Batch, known: Sequence[Array | None]) -> None:
        """Ask some rows again whose answers are kept, until 64 have been; raise `ContractBroken` where one differs."""
        rows = [row for row, answer in enumerate(known) if answer is not None][: self._to_ask_again]
        if not rows:
            return
        kept = np.stack([answer for answer in known if answer is not None][: len(rows)])
        now = self._asked(batch.take(np.array(rows, np.int64)))
        limit = 1e-4 * float(np.abs(kept[np.isfinite(kept)]).max(initial=0.0))
        if now.shape != kept.shape or not np.allclose(now, kept, rtol=0, atol=limit, equal_nan=True):
            where = rows[0] if now.shape != kept.shape else rows[int(np.abs(np.nan_to_num(now - kept)).max(1).argmax())]
            raise ContractBroken(
                self._who,
                "determinism",
                f"sample {batch.ids[where]} is answered otherwise than before: the model behind {shown(self.url)} has "
                f"changed, or answers at random. Give another version= than {self.version!r}, or another cache=",
            )
        self._to_ask_again -= len(rows)

    def _asked(self, batch: Batch) -> OutputArray:
        pieces = [batch.take(slice(start, start + self._rows)) for start in range(0, len(batch), self._rows)]
        if len(pieces) <= 1 or self._concurrency == 1:
            parts = [self._piece(piece) for piece in pieces]
        else:
            with ThreadPoolExecutor(min(self._concurrency, len(pieces)), "mmaudit-endpoint") as pool:
                waiting = [pool.submit(self._piece, piece) for piece in pieces]
                try:
                    parts = [each.result() for each in waiting]
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
        widths = {part.shape[1] for part in parts}
        if len(widths) > 1:
            raise ContractBroken(self._who, "shape", f"answers have {' or '.join(map(str, sorted(widths)))} columns")
        return np.concatenate(parts)

    def _piece(self, batch: Batch) -> OutputArray:
        inputs = {name: self._column(name, batch) for name in self.modalities}
        masks = {name: batch.present[name] for name in self.modalities} if self.native_absence else None
        found = self._sender.post(encoded(self._body, inputs, masks))
        self._require_version(found)
        try:
            return matrix(
                self._who, answered(self._body, found.content, len(batch), self._sender.limits.size), len(batch)
            )
        except Unusable as error:
            raise ContractBroken(self._who, "shape", str(error)) from None

    def _column(self, modality: str, batch: Batch) -> Array:
        values = batch.inputs[modality]
        if modality not in self._prepare:
            return values
        column = np.asarray(self._prepare[modality](values))
        if column.ndim == 0 or len(column) != len(batch):
            message = f"prepare[{modality!r}] returned shape {column.shape} for {len(batch)} rows"
            raise ContractBroken(self._who, "shape", f"{message}, expected a row each")
        return column

    def _require_version(self, found: Answer) -> None:
        if not found.version:
            return
        with self._lock:
            before = self.version or self._seen_version or found.version
            self._seen_version = found.version
        if found.version != before:
            raise ContractBroken(
                self._who,
                "determinism",
                f"the endpoint answers as version {found.version!r}, not {before!r}: one audit is of one model; start "
                "a new one with version= and another out=",
            )
