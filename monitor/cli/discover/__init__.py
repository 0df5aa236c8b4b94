"""The command `discover`: what a broker carries, and settings for it."""
