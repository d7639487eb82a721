"""The ranker's training: music whose grid is known, its hypotheses' traits, the fit, and the table."""
