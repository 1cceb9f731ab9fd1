"""The law of a family as draws: forms averaged by their evidence, every interval read off the same draws."""
