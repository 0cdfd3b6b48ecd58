"""The generators: one file per model, the file name is the model's name."""
