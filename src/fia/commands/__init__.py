"""The commands of `fia`, one file each, and the table that lists them. With it, `fia` need not import them all."""

from collections import namedtuple

Entry = namedtuple("Entry", ("module", "command", "help"))
"""A command: its module in this package, its class, and the first sentence of the class's docstring."""

# In the order in which a newcomer needs them.
COMMANDS = {
    "demo": Entry("testbed", "Demo", "Forgets five of ten objects and shows what happens to the rest."),
    "forget": Entry("forget", "Forget", "Finds the mask that makes a model forget concepts, and saves it."),
    "generate": Entry("generate", "Generate", "Generates images; with --mask, both before and after forgetting."),
    "show": Entry("show", "Show", "Shows what a mask holds: concepts, layers, counts, settings."),
    "evaluate": Entry("evaluate", "Evaluate", "Measures what a model still generates after an edit."),
    "attack": Entry("attack", "AttackCommand", "Tests whether concepts are really gone, with the field's attacks."),
    "harden": Entry("harden", "Harden", "Attacks a mask, and finds it again with what the attack found."),
    "apply": Entry("apply", "Apply", "Writes the edited model, for other tools to load."),
    "serve": Entry("serve", "Serve", "Opens a local page to forget concepts and compare images."),
    "layers": Entry("layers", "Layers", "Lists the layers of a model that can be masked."),
    "stability": Entry("stability", "Stability", "Tells how many prompts a concept needs."),
    "publish": Entry("publish", "Publish", "Publishes a mask with its evidence and licence."),
    "library add": Entry("library", "Add", "Adds masks to a library, as one mask for each concept."),
    "library list": Entry("library", "List", "Lists the concepts of a library."),
    "library remove": Entry("library", "Remove", "Deletes concepts from a library."),
    "library compose": Entry("library", "Compose", "Makes one mask from concepts of a library."),
    "testbed demo": Entry("testbed", "Demo", "Forgets five of ten objects and shows what happens to the rest."),
    "testbed sheet": Entry("testbed", "Sheet", "Generates everything the embedded model knows, on one sheet."),
    "testbed train": Entry("testbed", "Train", "Trains the embedded model, or only its denoiser."),
    "bench": Entry("bench", "BenchCommand", "Compares FIA with other methods, on the embedded model or yours."),
    "completion": Entry("completion", "Completion", "Prints a script that makes a shell complete commands and flags."),
}

GROUPS = {
    "library": "Keeps one mask for each concept in a folder, and composes them.",
    "testbed": "Demonstrates, shows and trains the embedded model.",
}
