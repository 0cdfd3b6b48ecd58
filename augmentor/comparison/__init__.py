"""Does augmentation help? Generators, simple arms and no generator at all, judged on splits that none of them has seen."""
