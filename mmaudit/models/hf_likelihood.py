"""How likely a causal language model finds given continuations of given prefixes."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from mmaudit.models.hf_rows import Row

Way = Literal["cached", "whole", "stepwise"]
"""cached: the prefix runs once, each continuation on its keys and values. whole: prefix and continuation run together.
stepwise: as cached, a token at a time, as the model generates."""


class Likelihood:
    """Log-likelihoods of continuations, rows of one shape at a time, without padding.

    Args:
        model: a transformers model that returns `logits` [n, T, vocabulary], and `past_key_values` with `use_cache`.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._keeps = "logits_to_keep" in inspect.signature(model.forward).parameters

    def of(self, prefix: Row, continuations: Sequence[Sequence[int]], way: Way) -> Tensor:
        """Return float64 [n, choices]: the log-probability, in nats, of each continuation after each prefix.

        Args:
            prefix: `input_ids` [n, P] and whatever else the model takes, on its device.
            continuations: token ids, at least one each.
            way: see `Way`.
        """
        ids = prefix["input_ids"]
        tokens = [torch.tensor(list(c), device=ids.device).expand(len(ids), -1) for c in continuations]
        if way == "whole":
            return torch.stack([self._whole(prefix, c) for c in tokens], dim=1)
        run = self._model(**prefix, use_cache=True, **self._last(1))
        first = run.logits[:, -1:]
        return torch.stack([self._after(run.past_key_values, first, c, way) for c in tokens], dim=1)

    def way(self, prefix: Row, continuations: Sequence[Sequence[int]], tolerance: float) -> Way:
        """Return the fastest way that gives what the model means, found by trying on this prefix.

        Running the prefix once is used where it gives what running everything gives. Where not, everything is run,
        unless the model lets tokens see later ones: then only generating is what it was trained for.
        """
        longest = max(continuations, key=len)
        if len(longest) == 1:
            return "cached"  # the prefix alone answers
        whole = self.of(prefix, [longest], "whole")
        try:
            cached = self.of(prefix, [longest], "cached")
        except Exception:  # no cache, or one that cannot be cut: any error is a reason not to use it
            cached = torch.full_like(whole, torch.nan)
        if bool(((cached - whole).abs() <= tolerance * whole.abs()).all()):
            return "cached"
        ids = prefix["input_ids"]
        other = [*longest[:-1], int(ids[0, 0]) if int(ids[0, 0]) != longest[-1] else longest[0]]
        seen = self._logits(prefix, torch.tensor([list(longest)], device=ids.device).expand(len(ids), -1))
        also = self._logits(prefix, torch.tensor([other], device=ids.device).expand(len(ids), -1))
        moved = (seen - also).abs().max() > tolerance * seen.abs().max()
        return "stepwise" if bool(moved) else "whole"

    def _whole(self, prefix: Row, tokens: Tensor) -> Tensor:
        return _sum(self._logits(prefix, tokens), tokens)

    def _logits(self, prefix: Row, tokens: Tensor) -> Tensor:
        """Logits that predict each of the tokens after the prefix, [n, T, vocabulary]."""
        length = tokens.shape[1]
        start = prefix["input_ids"].shape[1]
        inputs = {name: self._longer(name, x, tokens, start) for name, x in prefix.items()}
        # One more than the tokens: what follows the last is not asked, but it comes last.
        logits: Tensor = self._model(**inputs, use_cache=False, **self._last(length + 1)).logits
        return logits[:, -length - 1 : -1]

    def _longer(self, name: str, x: Tensor, tokens: Tensor, start: int) -> Tensor:
        if name == "input_ids":
            return torch.cat([x, tokens], dim=1)
        if x.ndim == 2 and x.shape == (
            len(tokens),
            start,
        ):  # one per token: 1 in the mask, 0 for the type of text
            fill = torch.ones_like(tokens) if name == "attention_mask" else torch.zeros_like(tokens)
            return torch.cat([x, fill.to(x.dtype)], dim=1)
        return x

    def _after(self, cache: Any, first: Tensor, tokens: Tensor, way: Way) -> Tensor:
        length = tokens.shape[1]
        if length == 1:
            return _sum(first, tokens)
        parts = [first]
        step = 1 if way == "stepwise" else length - 1
        held = torch.ones((len(tokens), cache.get_seq_length()), dtype=torch.long, device=tokens.device)
        for i in range(0, length - 1, step):
            ids = tokens[:, i : min(i + step, length - 1)]
            held = torch.cat([held, torch.ones_like(ids)], dim=1)
            parts.append(self._model(input_ids=ids, attention_mask=held, past_key_values=cache, use_cache=True).logits)
        cache.crop(1 - length)  # negative: how many to take away; all versions understand that
        return _sum(torch.cat(parts, dim=1), tokens)

    def _last(self, count: int) -> dict[str, int]:
        """Ask for the last logits only: of a long prefix and a large vocabulary all of them would fill the memory."""
        return {"logits_to_keep": count} if self._keeps else {}


def _sum(logits: Tensor, tokens: Tensor) -> Tensor:
    log_p = logits.float().log_softmax(dim=-1)
    return log_p.gather(2, tokens[:, :, None])[:, :, 0].double().sum(dim=1)
