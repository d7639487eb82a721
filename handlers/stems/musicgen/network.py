"""The transformer of a MusicGen over keys and values that stay in place, for one step or many at once. Heavy: torch.

Nothing here asks the device for a value, and no shape depends on one: a step can be recorded once and played again.
Rows come in two halves, with the prompt and without, each `width` long. All rows are at the same place.

Where a model has something before the first token (melody: its chroma and its words), that takes the first `lead`
places of the keys, filled as far as a row has something and hidden from there on; its tokens count on from what it has.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from handlers.stems.musicgen.library import LMModel
from handlers.stems.musicgen.weights import DTYPE, Precision, Product, lay_out

HIDDEN = float("-inf")
BLOCK = 128
"""On a CPU keys lie in blocks of so many places: oneDNN copies what it multiplies with unless it lies in one piece."""


class Network:
    """The weights of a language model, and room for the keys and values of `rows` rows.

    Parameters
    ----------
    lm
        audiocraft's ``LMModel``; only what the published models are made of, see :func:`obstacle`.
    rows
        How many rows are played at once at most.
    precision, device
        See :func:`~handlers.stems.musicgen.weights.lay_out`.
    """

    def __init__(self, lm: LMModel, rows: int, precision: Precision, device: str) -> None:
        if reason := obstacle(lm):
            raise ValueError(f"the fast decoder cannot play this model: {reason}; audiocraft's own loop can")
        self.rows, self.device = rows, device
        self.kept = DTYPE[precision]
        # Sums over many layers are the last thing to round; on CUDA fewer kernels matter more.
        self.flow = torch.float32 if device == "cpu" else self.kept
        # torch's own attention is one kernel; on a CPU, in bf16, it takes five times as long as two products.
        self.fused = device != "cpu"
        transformer = lm.transformer
        self.dim, self.heads, self.codebooks, self.card = (
            lm.dim,
            transformer.layers[0].self_attn.num_heads,
            lm.n_q,
            lm.card,
        )
        self.size = self.dim // self.heads
        self.crossing = transformer.layers[0].cross_attention is not None
        self._max_period, self._position_scale = transformer.max_period, transformer.positional_scale

        def matrix(
            weight: Tensor, bias: Tensor | None, gelu: bool = False, precision: Precision = precision
        ) -> Product:
            return lay_out(weight, bias, precision, device, rows, gelu=gelu)

        self.layers = [_Layer(layer, matrix, device, self.flow) for layer in transformer.layers]
        self.embedding = torch.cat([table.weight.detach() for table in lm.emb]).to(device, self.flow)
        self.first_of_codebook = torch.arange(self.codebooks, device=device) * (self.card + 1)
        self.out_norm = _norm(lm.out_norm, device, self.flow)
        # The last matrix decides between tokens, and is small: two bytes for each weight are kept.
        last: Precision = "bf16" if precision == "int8" else precision
        biases = [linear.bias for linear in lm.linears]
        bias = None if biases[0] is None else torch.cat([one.detach() for one in biases])
        self.nothing = torch.zeros((1, 1, 1), dtype=self.kept, device=device)
        self.last = matrix(torch.cat([linear.weight.detach() for linear in lm.linears]), bias, precision=last)
        self.capacity = self.lead = 0
        self.heard: list[Tensor] = []
        """What is hidden of the words, then the keys and values of each layer."""

    def make_room(self, places: int, lead: int) -> bool:
        """Have room for `places` tokens after `lead` places; whether it had to be made, and all before is void."""
        if places + lead <= self.capacity and lead == self.lead:
            return False
        self.lead = lead
        self.block = places + lead if self.fused else BLOCK
        blocks = -(-(places + lead) // self.block)
        self.capacity = blocks * self.block
        self.cache: list[Tensor] = []  # What was there goes before the new is made.
        shape = (blocks, 2, self.rows, self.heads, self.block, self.size)
        self.cache = [torch.zeros(shape, dtype=self.kept, device=self.device) for _ in self.layers]
        self.positions = self._positions(self.capacity)
        self.places = torch.arange(self.capacity, device=self.device)
        # 0 where a row may look, -inf where it has nothing: only within the lead.
        self.veil = torch.zeros((self.rows, self.capacity), dtype=self.kept, device=self.device)
        self.begun = torch.zeros(self.rows, dtype=torch.long, device=self.device)
        return True

    def _positions(self, count: int) -> Tensor:
        half = self.dim // 2
        places = torch.arange(count, dtype=torch.float32)[:, None]
        phase = places / self._max_period ** (torch.arange(half, dtype=torch.float32) / (half - 1))
        table = torch.cat([phase.cos(), phase.sin()], -1) * self._position_scale
        return table.to(self.device, self.flow)

    def hear(self, text: Tensor | None, lengths: Tensor, pulse: Callable[[], None]) -> bool:
        """Compute what every step's cross-attention looks at.

        Parameters
        ----------
        text
            ``(rows, places, dim)``, or None for a model without.
        lengths
            int64 ``(rows,)``: how many of the places a row has.

        Returns
        -------
        moved
            Whether it lies in new memory, so that no step recorded before finds it.
        """
        if text is None:
            return False
        rows, places, _ = text.shape
        beyond = torch.arange(places, device=self.device) >= lengths.to(self.device)[:, None]
        veil = torch.zeros((rows, places), dtype=self.kept, device=self.device).masked_fill_(beyond, HIDDEN)
        heard = [self._per_head(veil)]
        flat = text.to(self.device, self.flow).reshape(rows * places, self.dim)
        for layer in self.layers:
            pulse()
            both = layer.words(flat).view(rows, places, 2, self.heads, self.size)
            heard.append(both.permute(2, 0, 3, 1, 4).to(self.kept, memory_format=torch.contiguous_format))
        if [one.shape for one in heard] == [one.shape for one in self.heard]:
            for old, new in zip(self.heard, heard, strict=True):
                old.copy_(new)
            return False
        self.heard = heard
        return True

    def _per_head(self, veil: Tensor) -> Tensor:
        """From (rows, places) to (rows x heads, 1, places), which is added to scores."""
        return veil.repeat_interleave(self.heads, 0)[:, None].contiguous()

    def begin(self, lead: Tensor | None, lengths: Tensor, pulse: Callable[[], None]) -> None:
        """Play what comes before the first token: ``(rows, self.lead, dim)``, of which each row has its length."""
        self.begun.copy_(lengths)
        if lead is None:
            return
        self.veil.zero_()
        self.veil[:, : self.lead].masked_fill_(self.places[: self.lead] >= self.begun[:, None], HIDDEN)
        self._play_many(lead.to(self.device, self.flow) + self.positions[: self.lead], slice(0, self.rows), 0, pulse)

    def fill(self, tokens: Tensor, first: int, pulse: Callable[[], None]) -> None:
        """Play many tokens for their keys and values: ``(rows, codebooks, count)``, the first is number `first`."""
        x = self.embedding[tokens.transpose(1, 2) + self.first_of_codebook].sum(2)
        where = self.begun[:, None] + torch.arange(first, first + tokens.shape[-1], device=self.device)
        self._play_many(x + self.positions[where], slice(0, self.rows), self.lead + first, pulse)

    def _play_many(self, x: Tensor, rows: slice, start: int, pulse: Callable[[], None]) -> None:
        count, stop = x.shape[1], start + x.shape[1]
        ahead = self.places[:stop] > self.places[start:stop, None]
        veil = self.veil[rows, None, None, :stop].masked_fill(ahead, HIDDEN)
        if start < self.lead:  # A place that is itself hidden must see something, or its scores are not numbers.
            veil = veil.masked_fill(self.places[:stop] == self.places[start:stop, None], 0.0)

        into, within = self.places[start:stop] // self.block, self.places[start:stop] % self.block

        def attend(number: int, q: Tensor, kv: Tensor) -> Tensor:
            cache = self.cache[number]
            cache[into, :, rows, :, within] = kv.permute(1, 2, 0, 3, 4).to(self.kept)
            keys, values = cache[:, :, rows].permute(1, 2, 3, 0, 4, 5).flatten(3, 4)[..., :stop, :]
            seen = functional.scaled_dot_product_attention(
                q.transpose(1, 2).to(self.kept), keys, values, attn_mask=veil
            )
            return seen.transpose(1, 2)

        def read(number: int, q: Tensor) -> Tensor:
            here = self.heard[number + 1][:, rows]
            hidden = self.heard[0].view(self.rows, self.heads, 1, -1)[rows]
            return functional.scaled_dot_product_attention(
                q.transpose(1, 2).to(self.kept), here[0], here[1], attn_mask=hidden
            ).transpose(1, 2)

        self._layers(x.reshape(-1, self.dim), (x.shape[0], count), attend, read, pulse)

    def step(self, tokens: Tensor, at: Tensor, looks: int, veiled: bool, rows: slice) -> Tensor:
        """Play one token of each codebook.

        Parameters
        ----------
        tokens
            int64 ``(rows, codebooks)``.
        at
            int64 ``(1,)``: the token's number, on the device.
        looks
            How many places of the keys are looked at; more than `at` only with `veiled`.
        veiled
            Whether some of those are hidden.
        rows
            Which rows these are.

        Returns
        -------
        logits
            float32 ``(rows, codebooks, card)``.
        """
        count = tokens.shape[0]
        place = at + self.lead
        x = self.embedding[tokens + self.first_of_codebook].sum(1) + self.positions[self.begun[rows] + at]
        veil = None
        if veiled:
            ahead = self.places[:looks] > place
            veil = self._per_head(self.veil[rows, :looks].masked_fill(ahead, HIDDEN))

        into, within = place // self.block, place % self.block

        def attend(number: int, q: Tensor, kv: Tensor) -> Tensor:
            self.cache[number][into, :, rows, :, within] = kv.permute(1, 2, 0, 3, 4).to(self.kept)
            return self._look(q, self.cache[number][:, :, rows], looks, veil)

        def read(number: int, q: Tensor) -> Tensor:
            words = self.heard[number + 1][None, :, rows]
            return self._look(
                q, words, words.shape[-2], self.heard[0][rows.start * self.heads : rows.stop * self.heads]
            )

        x = self._layers(x, (count, 1), attend, read, None)
        return self.last(_normed(x, self.out_norm)).float().view(count, self.codebooks, self.card)

    def _look(self, q: Tensor, kept: Tensor, looks: int, veil: Tensor | None) -> Tensor:
        """Attention of one query to the first places of ``(blocks, 2, rows, heads, places, size)``."""
        rows, size = q.shape[0], kept.shape[-2]
        if self.fused and len(kept) == 1:
            hidden = None if veil is None else veil.view(rows, self.heads, 1, -1)
            k, v = kept[0, ..., :looks, :]
            return functional.scaled_dot_product_attention(q.transpose(1, 2).to(self.kept), k, v, attn_mask=hidden)
        q = q.to(self.kept).reshape(rows * self.heads, 1, self.size)
        starts = range(0, looks, size)
        pieces = [kept[start // size, :, :, :, : looks - start].flatten(1, 2) for start in starts]
        scores = [
            torch.baddbmm(
                self.nothing if veil is None else veil[..., start : start + size],
                q,
                piece[0].transpose(1, 2),
                beta=0 if veil is None else 1,
                alpha=self.size**-0.5,
            )
            for start, piece in zip(starts, pieces, strict=True)
        ]
        weights = torch.softmax(scores[0] if len(scores) == 1 else torch.cat(scores, -1), -1)
        found = torch.bmm(weights[..., :size], pieces[0][1])
        if len(pieces) > 1:
            found = found.float()
        for start, piece in zip(starts[1:], pieces[1:], strict=True):
            found += torch.bmm(weights[..., start : start + size], piece[1])
        return found.view(rows, 1, self.heads, self.size)

    def _layers(
        self,
        x: Tensor,
        shape: tuple[int, int],
        attend: Callable[[int, Tensor, Tensor], Tensor],
        read: Callable[[int, Tensor], Tensor],
        pulse: Callable[[], None] | None,
    ) -> Tensor:
        for number, layer in enumerate(self.layers):
            if pulse is not None:
                pulse()
            qkv = layer.qkv(_normed(x, layer.norm1)).view(*shape, 3, self.heads, self.size)
            x = layer.out(attend(number, qkv[:, :, 0], qkv[:, :, 1:]).reshape(-1, self.dim), x)
            if self.crossing:
                q = layer.ask(_normed(x, layer.norm_cross)).view(*shape, self.heads, self.size)
                x = layer.answer(read(number, q).reshape(-1, self.dim), x)
            x = layer.down(layer.up(_normed(x, layer.norm2)), x)
        return x


class _Layer:
    """One layer's matrices and norms."""

    def __init__(self, layer: nn.Module, matrix: Callable[..., Product], device: str, dtype: torch.dtype) -> None:
        own, cross = layer.self_attn, layer.cross_attention
        self.qkv, self.out = (
            matrix(own.in_proj_weight, own.in_proj_bias),
            matrix(own.out_proj.weight, own.out_proj.bias),
        )
        self.norm1, self.norm2 = _norm(layer.norm1, device, dtype), _norm(layer.norm2, device, dtype)
        if cross is not None:
            dim, bias = own.embed_dim, cross.in_proj_bias
            self.ask = matrix(cross.in_proj_weight[:dim], None if bias is None else bias[:dim])
            self.words = matrix(cross.in_proj_weight[dim:], None if bias is None else bias[dim:])
            self.answer = matrix(cross.out_proj.weight, cross.out_proj.bias)
            self.norm_cross = _norm(layer.norm_cross, device, dtype)
        self.up = matrix(layer.linear1.weight, layer.linear1.bias, gelu=True)
        self.down = matrix(layer.linear2.weight, layer.linear2.bias)


_Norm = tuple[tuple[int, ...], Tensor, Tensor, float]


def _norm(module: nn.LayerNorm, device: str, dtype: torch.dtype) -> _Norm:
    weight, bias = module.weight.detach().to(device, dtype), module.bias.detach().to(device, dtype)
    return tuple(module.normalized_shape), weight, bias, module.eps


def _normed(x: Tensor, norm: _Norm) -> Tensor:
    return functional.layer_norm(x, *norm)


def obstacle(lm: LMModel) -> str | None:
    """What about a model is unlike all published ones, so that it cannot be played here; None where it can."""
    transformer = lm.transformer
    layer = transformer.layers[0]
    own = layer.self_attn
    unlike = {
        "positions are not sines": transformer.positional_embedding != "sin",
        "its norms come last": not layer.norm_first or lm.out_norm is None,
        "its attention is not audiocraft's own": not own.custom,
        "its attention is not causal": not own.causal or own.past_context is not None,
        "queries and keys are normalised": own.qk_layer_norm,
        "keys are shared between heads": own.kv_repeat != 1,
        "layers are scaled": not isinstance(layer.layer_scale_1, nn.Identity),
        "its activation is not the GELU": layer.activation is not functional.gelu,
        "conditions are added to the input": any(lm.fuser.fuse2cond.get(how) for how in ("sum", "input_interpolate")),
    }
    return next((reason for reason, so in unlike.items() if so), None)
