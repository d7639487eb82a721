"""The built-in instrument: a style and a seed to sound, by code alone. Pure: no files, no clock, no globals."""
