"""Ready networks of the classic families, each of parts of ours: one family per module.

A family's module has functions that give one architecture without holes, fitted to pictures of `inputs` (channels,
height, width), and one, of the plural name, that gives the tree of all of the family with every field open. Both are
written by one function of the module, so that the tree holds the networks.
"""
