"""Supernets from start to end: trained in a folder, ranked, searched, and the best retrained or cut out.

A supernet's folder holds `supernet.json`, the settings of its training, and the trainer's checkpoints.
"""
