"""Archfront: the best accuracy-latency front that a budget can buy, each point a verified network."""

__version__ = "0.1.0"
