"""How results reach other programs: what their files carry beside the sound."""
