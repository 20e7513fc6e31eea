"""The methods that the benchmark compares, with the settings chosen for the embedded model (docs/rivals.md)."""

from ..methods import ESD, FIA, UCE, ConceptPrune, Method, NegativePrompt
from ..testbed.demo import DEMO_SETTINGS

METHODS: dict[str, Method] = {
    "FIA": FIA(DEMO_SETTINGS),
    "ConceptPrune": ConceptPrune(prompts_per_concept=8, seeds_per_prompt=4),
    "UCE": UCE(),
    "ESD-x": ESD("x", iterations=200, batch_size=4, learning_rate=1e-4, num_inference_steps=25),
    "ESD-u": ESD("u", iterations=200, batch_size=4, learning_rate=1e-4, num_inference_steps=25),
    "negative prompt": NegativePrompt(),
}
