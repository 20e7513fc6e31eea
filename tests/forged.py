"""Forges mask files."""

import json

from safetensors.numpy import load_file, save_file

from fia.masks import file as maskfile


def rewrite(folder, change_tensors=None, change_config=None):
    """Changes a saved mask and hashes it again, as somebody would who knows the format."""
    tensors, config = load_file(folder / "neurons.safetensors"), json.loads((folder / "config.json").read_text())
    if change_tensors:
        change_tensors(tensors)
    if change_config:
        change_config(config)
    text = json.dumps(config, indent=2)
    metadata = {"mask": f"{maskfile._digest(text, tensors)}\n{text}"}
    save_file(tensors, folder / "neurons.safetensors", metadata)
    (folder / "config.json").write_text(text + "\n")
