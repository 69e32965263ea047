"""Devices: their profiles, the runtimes that execute networks on them, and the protocol by which they are measured."""
