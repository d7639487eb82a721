"""The ground floor of sound: pure functions on audio that every capability may use.

Audio is float32 of shape ``(channels, samples)`` with full scale at ±1, its sample rate always beside it.
"""
