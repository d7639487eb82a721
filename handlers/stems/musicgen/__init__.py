"""MusicGen: audiocraft's models, loaded from local weights, played by a loop of our own or by theirs. Heavy: torch."""
