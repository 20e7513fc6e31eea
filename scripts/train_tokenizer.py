"""Trains the embedded model's tokenizer on its captions and writes it to `src/fia/testbed/tokenizer/`.

The tokenizer is part of the code, and a training of the model does not make a new one. The order of tokens with equal
frequency differs from run to run, and the weights depend on it. After you run this script, train everything again.
"""

import string

from transformers import CLIPTokenizer

from fia.testbed.captions import all_captions
from fia.testbed.clip import MAX_TOKENS, TOKENIZER_FOLDER


def train_tokenizer() -> CLIPTokenizer:
    """Trains a byte-pair vocabulary with the words of the captions as whole tokens. It can encode any text."""
    # We add the alphabet, because the tokenizer reads an unknown byte as the end of the text.
    letters = [f"{a} {a}{b}" for a in string.ascii_lowercase for b in string.ascii_lowercase]
    alphabet = [*letters, *string.digits, *(f"{p} {p}{p}" for p in string.punctuation)]
    special = {"<|startoftext|>": 0, "<|endoftext|>": 1}
    blank = CLIPTokenizer(vocab=special, merges=[], model_max_length=MAX_TOKENS)
    return blank.train_new_from_iterator([*all_captions(), *alphabet], vocab_size=2000, show_progress=False)


if __name__ == "__main__":
    train_tokenizer().save_pretrained(TOKENIZER_FOLDER)
