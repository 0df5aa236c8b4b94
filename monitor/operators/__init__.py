"""The requests of operators: acknowledge, mute, false alarm, forget, reload."""
