"""A user's space: one small network under many recipes, so that a population may hand its weights on."""

from evaluators.recipes.partial import PartialRecipe
from search_spaces import uniform
from search_spaces.blocks import Block, DepthwiseConv
from search_spaces.space import Space
from search_spaces.topologies import Network, Stage, Trained

block = Block(token_mixer=DepthwiseConv(kernel=3), channel_mixer="mlp", norm="batch")
network = Network(stem="conv3x3", stages=(Stage(width=8, blocks=(block,)),))
space = Space(Trained(network, PartialRecipe(label_smoothing=uniform(0.0, 0.2))), "one-network")
