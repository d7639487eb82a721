"""The process that never stops: jobs, files, lanes and time. It never imports audio or torch."""

VERSION = "0.1.0"
