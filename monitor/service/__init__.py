"""The daemon: its builder, its lifecycle, and the pipeline that processes readings."""
