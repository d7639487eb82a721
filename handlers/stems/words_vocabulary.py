"""The words that the built-in instrument understands in a prompt. Data only; :mod:`handlers.stems.words` reads with it.

Words are written in lower case, in the singular, and without hyphens; phrases may have several words.
"""

from __future__ import annotations

# --- How strongly a word pulls, by what it pulls at; "hard" and "no drums" are handled alike by what follows. ---

INTENSITY = {
    1.0: "relentless brutal furious violent ferocious savage merciless unrelenting",
    0.8: "intense aggressive fierce punishing frantic frenzied crushing merciless raging",
    0.6: "hard harder heavy energetic pounding feverish peak banging stomping forceful",
    0.4: "driving powerful urgent strong massive pumping thundering ecstatic epic insistent tense loud huge",
    -0.3: "patient subtle restrained easy light lighter unhurried",
    -0.5: "soft softer mellow relaxed quiet quieter hushed dreamy floating tender lazy delicate chilled chill",
    -0.7: "calm calmer gentle gentler peaceful soothing meditative serene still tranquil weightless",
}
DARKNESS = {
    0.7: "gloomy sinister murky ominous pitchblack black muffled subterranean",
    0.5: "dark darker brooding menacing bleak grim shadowy eerie dim evil threatening desolate",
    0.3: "deep deeper nocturnal haunting haunted dull warm warmer melancholic mournful",
    -0.3: "icy crisp clear glassy hopeful sharp happy",
    -0.5: "airy shimmering sparkling glittering light lighter luminous shiny sunny neon",
    -0.7: "bright brighter brilliant gleaming radiant dazzling",
}
DENSITY = {
    0.8: "frantic frenzied frenetic hectic crowded packed",
    0.6: "busy busier dense denser intricate complex restless",
    0.4: "layered full fuller thick rapid rolling galloping relentless unbroken",
    -0.3: "spacious airy open uncluttered",
    -0.5: "minimal simple reduced stripped lean few",
    -0.7: "sparse sparser empty bare skeletal",
}
DRIVE = {
    0.5: "distorted overdriven distortion harsh crushed saturated",
    0.3: "gritty dirty raw rough noisy acid fuzzy snarling",
    -0.4: "clean cleaner pure smooth polished undistorted",
}
ROOM = {
    0.6: "cavernous cathedral drowned",
    0.4: "reverb reverberant echo echoing spacious wet hall distant far vast",
    -0.6: "dry drier anechoic",
    -0.3: "close intimate",
}
WEIGHT = {0.4: "sub heavy bassheavy massive", -0.4: "thin thinner light lighter"}
PUMP = {0.5: "pumping sidechain sidechained ducking breathing"}
WIDTH = {0.5: "wide wider", -0.6: "narrow mono"}
SWING = {0.4: "swing swung swinging shuffle shuffled", -1.0: "straight unswung"}
PACE = {
    0.14: "fast faster uptempo quick quicker speedy",
    -0.14: "slow slower slowly downtempo unhurried",
    0.0: "midtempo",
}
AXES = {
    "intensity": INTENSITY, "darkness": DARKNESS, "density": DENSITY, "drive": DRIVE, "room": ROOM, "weight": WEIGHT,
    "pump": PUMP, "width": WIDTH, "swing": SWING, "tempo": PACE,
}  # fmt: skip
PHRASES = {
    "maximum intensity": ("intensity", 1.2), "high intensity": ("intensity", 0.8), "low intensity": ("intensity", -0.8),
    "high energy": ("intensity", 0.8), "low energy": ("intensity", -0.8), "maximum energy": ("intensity", 1.2),
    "up tempo": ("tempo", 0.14), "down tempo": ("tempo", -0.14), "mid tempo": ("tempo", 0.0),
    "pitch black": ("darkness", 0.7), "bass heavy": ("weight", 0.4), "stripped down": ("density", -0.5),
    "wide open": ("width", 0.5), "long reverb": ("room", 0.5), "big room": ("room", 0.4), "far away": ("room", 0.4),
}  # fmt: skip

# --- What plays: the parts that a word names, and how they play it. ---

DRUMS = ("kick", "snare", "hats")
ALL_DRUMS = ("kick", "snare", "toms", "hats", "metal")
PARTS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "kick": (("kick",), {}), "kick drum": (("kick",), {}), "bass drum": (("kick",), {}),
    "four to the floor": (("kick",), {"kick": "four"}), "four on the floor": (("kick",), {"kick": "four"}),
    "breakbeat": (DRUMS, {"kick": "break"}), "break beat": (DRUMS, {"kick": "break"}),
    "amen": (DRUMS, {"kick": "break"}),
    "broken beat": (DRUMS, {"kick": "broken"}), "broken drum": (DRUMS, {"kick": "broken"}),
    "broken machine beat": (DRUMS, {"kick": "broken"}), "half time": (("kick",), {"kick": "half"}),
    "halftime": (("kick",), {"kick": "half"}),
    "snare": (("snare",), {}), "gated snare": (("snare",), {"snare": "gated"}),
    "cracking snare": (("snare",), {"snare": "crack"}), "dry snare": (("snare",), {"snare": "crack"}),
    "clap": (("snare",), {"snare": "clap"}), "hand clap": (("snare",), {"snare": "clap"}),
    "hat": (("hats",), {}), "hi hat": (("hats",), {}), "hihat": (("hats",), {}), "cymbal": (("hats",), {}),
    "tom": (("toms",), {}), "metal": (("metal",), {}), "anvil": (("metal",), {}),
    "metallic percussion": (("metal",), {}),
    "struck metal": (("metal",), {}), "sheet metal": (("metal",), {}), "struck steel": (("metal",), {}),
    "pipe": (("metal",), {}), "clanging": (("metal",), {}), "clanging metal": (("metal",), {}),
    "bass": (("bass",), {}), "bass line": (("bass",), {}), "bassline": (("bass",), {}),
    "saw bass": (("bass",), {"bass": "saw"}), "square bass": (("bass",), {"bass": "square"}),
    "fm bass": (("bass",), {"bass": "fm"}), "acid bass": (("bass",), {"bass": "saw"}),
    "pulsing bass": (("bass",), {"bass_line": "pulse"}), "bass pulse": (("bass",), {"bass_line": "pulse"}),
    "pulsing saw bass": (("bass",), {"bass": "saw", "bass_line": "pulse"}),
    "rolling bass": (("bass",), {"bass_line": "roll"}), "offbeat bass": (("bass",), {"bass_line": "offbeat"}),
    "galloping bass": (("bass",), {"bass_line": "gallop"}), "sequenced bass": (("bass",), {"bass_line": "sequence"}),
    "arpeggiated bass": (("bass",), {"bass_line": "arpeggio"}), "long bass": (("bass",), {"bass_line": "long"}),
    "lead": (("lead",), {}), "melody": (("lead",), {}), "motif": (("lead",), {}), "theme": (("lead",), {}),
    "saw lead": (("lead",), {"lead": "saw"}), "pulse lead": (("lead",), {"lead": "pulse"}),
    "bell": (("lead",), {"lead": "bell"}), "bell melody": (("lead",), {"lead": "bell"}),
    "chime": (("lead",), {"lead": "bell"}), "eerie lead": (("lead",), {"lead": "wail"}),
    "wailing lead": (("lead",), {"lead": "wail"}), "wail": (("lead",), {"lead": "wail"}),
    "wailing": (("lead",), {"lead": "wail"}), "siren": (("lead",), {"lead": "wail"}),
    "arpeggio": (("arp",), {}), "arp": (("arp",), {}), "arpeggiated": (("arp",), {}),
    "stab": (("stab",), {}), "chord stab": (("stab",), {}), "pad": (("pad",), {}), "string": (("pad",), {}),
    "chord": (("pad",), {}), "harmony": (("pad",), {}), "drone": (("drone",), {}), "hum": (("drone",), {}),
    "noise": (("texture",), {}), "steam": (("texture",), {}), "hiss": (("texture",), {}), "texture": (("texture",), {}),
    "wind": (("texture",), {}), "machinery": (("texture",), {}), "riser": (("riser",), {}), "sweep": (("riser",), {}),
    "impact": (("impact",), {}), "boom": (("impact",), {}), "drum": (DRUMS, {}), "beat": (DRUMS, {}),
    "percussion": (DRUMS, {}), "rhythm": (DRUMS, {}),
}  # fmt: skip
SCALES = ("phrygian", "dorian", "harmonic minor")
ALWAYS = ("instrumental",)
"""What it always is."""
NEVER = ("vocal", "voice", "singing", "singer", "lyric", "guitar", "piano", "sample")
"""What it never has: understood where it is not wanted, and only there."""
GENRES = ("drum and bass", "drum n bass")
"""Names that hold words which mean something else alone. A genre is a style's business, and not understood."""

# --- Grammar ---

NEGATIONS = ("no", "not", "without", "never", "nor", "lacking", "minus", "less", "fewer")
HOW_MUCH = {
    "very": 1.6, "extremely": 2.0, "maximum": 2.0, "maximally": 2.0, "utterly": 2.0, "more": 1.3, "super": 1.6,
    "really": 1.4, "most": 1.6, "too": 1.3, "so": 1.2, "slightly": 0.4, "somewhat": 0.6, "fairly": 0.8, "bit": 0.5,
    "little": 0.5, "moderately": 0.7, "rather": 0.9,
}  # fmt: skip
FILLERS = """
    a an the of in on at to for from by as with and or but that this these it its is are be been being has have which
    who while under over below above between into out up down through all every each any some only just than then
    there here like one two bpm tempo key music track piece song sound sounding please make want i me my we you
    style mood feel feeling kind type
"""
"""Words that say nothing by themselves."""
