"""What is trained in this project, each by one command. Nothing here is imported by the daemon or its handlers."""
