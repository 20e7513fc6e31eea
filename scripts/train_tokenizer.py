"""Learns the embedded model's tokenizer from its captions and writes it to `src/fia/testbed/tokenizer/`.

It is kept with the code rather than made anew for each training: tokens of equal frequency get their numbers in an
order that differs from run to run, and the weights depend on the numbers. After a run of this script, train everything
again.
"""

import string

from transformers import CLIPTokenizer

from fia.testbed.captions import all_captions
from fia.testbed.clip import MAX_TOKENS, TOKENIZER_FOLDER


def train_tokenizer() -> CLIPTokenizer:
    """Learns a byte-pair vocabulary in which the words of the captions are whole; any text can be encoded."""
    # The alphabet is taught too: a byte never seen would be read as the end of the text.
    letters = [f"{a} {a}{b}" for a in string.ascii_lowercase for b in string.ascii_lowercase]
    alphabet = [*letters, *string.digits, *(f"{p} {p}{p}" for p in string.punctuation)]
    special = {"<|startoftext|>": 0, "<|endoftext|>": 1}
    blank = CLIPTokenizer(vocab=special, merges=[], model_max_length=MAX_TOKENS)
    return blank.train_new_from_iterator([*all_captions(), *alphabet], vocab_size=2000, show_progress=False)


if __name__ == "__main__":
    train_tokenizer().save_pretrained(TOKENIZER_FOLDER)
