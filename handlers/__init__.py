"""What a job can do: capabilities that know audio and never import the daemon."""
