"""Faults by the thousand: what takes too long for `make test`, which runs a small part of each."""
