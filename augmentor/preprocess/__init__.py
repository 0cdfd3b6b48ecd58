"""From a data set to the space of a model and back: transforms, library size, gene selection."""
