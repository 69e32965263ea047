"""Devices: their profiles, the runtimes that execute networks on them, and the protocol by which they are measured."""

from hardware_profiles.device_profile import Profile, names, profile

__all__ = ["Profile", "names", "profile"]
