"""augmentor as other libraries expect it."""
