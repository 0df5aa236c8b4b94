"""The state of each group: stage states, status and incidents; also silence detection and mutes."""
