"""What operators ask for: acknowledge, mute, false alarm, reload."""
