"""A space of 84 networks with every kind of decision, small enough to be trained in a test."""

from search_spaces import integers, one_of, repeat
from search_spaces.blocks import Block, Conv3x3Stem, DepthwiseConv
from search_spaces.topologies import Network, Stage

block = Block(one_of(DepthwiseConv(one_of(3, 5)), "pool"), "mlp", norm=one_of("batch", "layer"))
space = Network(Conv3x3Stem(stride=1), (Stage(one_of(8, 12), repeat(integers(1, 2), block), None),))
