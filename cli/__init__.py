"""The command line, installed as ``augmentor_cli``: a thin layer over the public API; see `augmentor_cli.app`."""
