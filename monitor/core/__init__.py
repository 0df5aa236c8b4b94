"""Records with units, errors, topics and times that every package uses. Imports no other monitor package."""
