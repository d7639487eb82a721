"""What a `stems` step takes. Light: pydantic only, read by the daemon."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from handlers.audio.delivery.choices import OPUS_RATE, Format, FormatChoice, WavSettings, check_formats
from handlers.contract import Handler, Params, Reference, Seconds
from handlers.stems.theory import parse_key

Bpm = Annotated[float, Field(ge=40, le=240)]
Percent = Annotated[float, Field(ge=0, le=100)]


def _check_key(text: str) -> str:
    return str(parse_key(text))


def _range(value: object) -> object:
    """Turn ``126`` into ``[126, 126]``."""
    return [value, value] if isinstance(value, int | float) and not isinstance(value, bool) else value


def _check_range(ends: list[float]) -> list[float]:
    if ends[0] > ends[1]:
        raise ValueError(f"[{ends[0]:g}, {ends[1]:g}] runs downwards; write the slower one first")
    return ends


Ends = Annotated[list[Bpm], Field(min_length=2, max_length=2)]
Tempo = Annotated[Ends, BeforeValidator(_range, json_schema_input_type=Bpm | Ends), AfterValidator(_check_range)]
"""The slowest and the fastest, in beats per minute."""


class Remix(Params):
    """How a neural model departs from what it is given, in a musician's words. Each raises its effect evenly."""

    weirdness: Annotated[float, Field(ge=0.1, le=1.5)] | None = None
    """How unlikely the notes may be: the sampling temperature. 0.1 repeats itself, 1 is usual, 1.5 falls apart."""
    melody_loyalty: Percent | None = None
    """How closely the melody of `melody:` is followed: the weight of its chroma. 0: not at all, 100: all of it."""
    genre_shift: Percent | None = None
    """How far from the given audio (`continue_from:` or `melody:`) towards the words: 0 stays, 100 follows the words. It
    raises the guidance scale from 1 to 5, and gives the melody less weight, or keeps less of the audio gone on from."""
    structure: Percent | None = None
    """How strictly it is held to bars: 0 free, 100 every beat at its place on the grid."""


class StemsParams(Params):
    """`count` pieces of music in one style, each from its own random stream; tempo, key and motif are shared."""

    model: Annotated[str, Field(min_length=1, max_length=100)] = "procedural"
    """What makes the sound: a key or an alias of `config/models.yaml`. `procedural` is the built-in instrument."""
    style: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*/[a-z0-9][a-z0-9_-]*$", max_length=100)]
    """What it sounds like: `family/style` from `config/styles/`, such as `industrial/bed`."""
    duration: Annotated[Seconds, Field(ge=1, le=600)] = 30.0
    """Length of each stem in seconds, exact to the sample (with `snap: bars`, the nearest whole bars)."""
    count: Annotated[int, Field(ge=1, le=64)] = 1
    """How many stems."""
    prompt: Annotated[str, Field(max_length=4000)] = ""
    """Words, in place of the style's own. The built-in instrument takes tempo, key, intensity, darkness and density
    from them and lists what it did not understand."""
    vary: bool = False
    """Each stem's prompt is recombined from the style's fragments, by its seed."""
    tempo: Tempo | None = None
    """Beats per minute: `126`, or a range `[122, 130]`; without it the job's seed draws one from the style's range.
    A model that only reads words is told in words; `snap: bars` then holds it to it."""
    key: Annotated[str, AfterValidator(_check_key)] | None = None
    """Such as `A minor` or `F# major`; without it the job's seed draws one of the style's keys."""
    commercial: bool = False
    """`true` demands a model whose licence allows commercial use."""

    continue_from: Reference | None = None
    """Audio that each stem goes on from at its end: a step, an item (`beds/2`) or a path; of several each stem takes the
    next. What is new is delivered, and `duration` counts that. Models of audiocraft."""
    melody: Reference | None = None
    """Audio whose melody is taken over, repeated where it is shorter; of several each stem takes the next. It is heard
    as it is, so give the melody without drums and bass. Models that read one: musicgen-melody."""
    style_from: Reference | None = None
    """Audio whose style is taken over. Models that read one: musicgen-style."""
    remix: Remix | None = None
    """Musicians' controls of a neural model."""
    temperature: Annotated[float, Field(ge=0.05, le=5)] | None = None
    """Of sampling; 1 without it. Neural models, as the next five."""
    top_k: Annotated[int, Field(ge=0, le=2048)] | None = None
    """Only the k likeliest tokens are drawn from; 250 without it, 0: all."""
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Only the likeliest tokens that make up this share are drawn from, in place of `top_k`; 0 without it: off."""
    guidance_scale: Annotated[float, Field(ge=1, le=20)] | None = None
    """How strongly the words pull (classifier-free guidance); 3 without it."""
    use_sampling: bool | None = None
    """`false` takes the likeliest token each time; `true` without it."""
    two_step: bool | None = None
    """Computes guidance in two passes, as audiocraft can: slower, other rounding; `false` without it."""
    decoder: Literal["fast", "reference"] | None = None
    """`fast` (without it): this project's own loop; `reference`: audiocraft's."""
    precision: Literal["fp32", "bf16", "fp16", "int8"] | None = None
    """Of the weights while decoding; without it the fastest that the device does well."""
    batch: Annotated[int, Field(ge=1, le=64)] | None = None
    """Stems decoded together. It is part of what makes the samples what they are; without it 1 on a CPU, and what the
    model and the GPU's memory suggest on a GPU."""

    layers: bool = False
    """Deliver drums, bass, harmony and noise as true stems that sum to the mix. The built-in instrument."""
    snap: Literal["none", "bars"] = "none"
    """`bars`: stretched to the tempo and cut to whole bars, checked, the error reported."""
    loop: bool = False
    """A seamless loop, in WAV with loop points that samplers read: of exactly `duration`, or of whole bars where
    `snap: bars` or the built-in instrument knows them."""
    retakes: Annotated[int, Field(ge=0, le=20)] = 2
    """How often a stem that fails its checks is played again, with a new seed."""
    accept: Literal["best", "none"] = "best"
    """When every take fails: deliver the `best` and mark it, or (`none`) fail the job."""
    formats: Annotated[list[Format], Field(min_length=1, max_length=4)] = [FormatChoice(wav=WavSettings())]
    """The first is the result itself, the others are renditions of it: `wav`, `flac`, `{mp3: {kbps: 192}}`,
    `{ogg: {quality: 6}}`."""
    sample_rate: Literal[44100, 48000] = 44100
    """Of what is delivered, in Hz, whatever the model's own."""

    @model_validator(mode="after")
    def _formats_differ(self) -> Self:
        check_formats(self.formats)
        if self.sample_rate != OPUS_RATE and any(choice.opus for choice in self.formats):
            raise ValueError(f"formats: opus needs sample_rate: {OPUS_RATE}, not {self.sample_rate}")
        return self


HANDLER = Handler(
    name="stems",
    summary="pieces of music in a style, from a seed",
    params=StemsParams,
    lane="gpu",
    run="handlers.stems.run:run",
    check="handlers.stems.check:check",
    estimate="handlers.stems.check:estimate",
    describe="handlers.stems.check:describe",
    examine="handlers.stems.models.check:examine",
    commands="handlers.stems.commands:app",
)
