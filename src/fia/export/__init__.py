"""What other tools load: a mask and a model as a diffusers folder, one file of weights, a checkpoint, or a patch."""
