"""One file per command: a file here that defines ``add(app)`` is a command, and no other edit is needed."""
