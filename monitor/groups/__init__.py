"""The state of each group: of the stages, its status, silence, incidents, mutes."""
