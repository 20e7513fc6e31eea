"""Trains the tokenizer of one of the embedded model's worlds on its captions, and writes it beside the code.

    python scripts/train_tokenizer.py small     # or large

The tokenizer is part of the code, and a training of the model does not make a new one. The order of tokens with equal
frequency differs from run to run, and the weights depend on it. After you run this script, train everything again.
"""

import argparse
import string

from transformers import CLIPTokenizer

from fia.testbed.captions import all_captions
from fia.testbed.catalogue import Catalogue
from fia.testbed.clip import MAX_TOKENS, tokenizer_folder
from fia.testbed.large import LARGE
from fia.testbed.world import SMALL


def train_tokenizer(catalogue: Catalogue) -> CLIPTokenizer:
    """Trains a byte-pair vocabulary with the words of the captions as whole tokens. It can encode any text."""
    # We add the alphabet, because the tokenizer reads an unknown byte as the end of the text.
    letters = [f"{a} {a}{b}" for a in string.ascii_lowercase for b in string.ascii_lowercase]
    alphabet = [*letters, *string.digits, *(f"{p} {p}{p}" for p in string.punctuation)]
    special = {"<|startoftext|>": 0, "<|endoftext|>": 1}
    blank = CLIPTokenizer(vocab=special, merges=[], model_max_length=MAX_TOKENS)
    return blank.train_new_from_iterator([*all_captions(catalogue), *alphabet], vocab_size=2000, show_progress=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", choices=("small", "large"))
    catalogue = LARGE if parser.parse_args().world == "large" else SMALL
    train_tokenizer(catalogue).save_pretrained(tokenizer_folder(catalogue))
