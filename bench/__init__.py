"""The numbers in the README, each by one command, each beside a peer from the same run."""
