"""The `beats` handler: tempo, beats and onsets of recordings, by librosa."""
