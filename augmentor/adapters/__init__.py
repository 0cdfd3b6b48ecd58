"""Bridges to other libraries' interfaces."""
