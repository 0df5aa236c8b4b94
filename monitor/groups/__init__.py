"""All that is known of each group: state, silence, incidents, mutes."""
