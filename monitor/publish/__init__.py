"""Encodes the messages to publish: alert events, states, mutes, info, and Home Assistant discovery."""
