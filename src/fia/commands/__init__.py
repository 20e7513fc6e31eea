"""The commands of `fia`, one file each, and the table by which `fia` finds them without importing them."""

from collections import namedtuple

Entry = namedtuple("Entry", ("module", "command", "help"))
"""Where a command is (module of this package, class), and the first sentence of the class's docstring."""

# In the order a newcomer meets them.
COMMANDS = {
    "forget": Entry("forget", "Forget", "Finds the mask that makes a model forget concepts, and saves it."),
    "generate": Entry("generate", "Generate", "Generates images, with a mask also before and after."),
    "show": Entry("show", "Show", "Shows what a mask holds: concepts, layers, counts, settings."),
    "evaluate": Entry("evaluate", "Evaluate", "Measures what a model still generates after an edit."),
    "apply": Entry("apply", "Apply", "Writes a model that has forgotten, for other tools to load."),
    "serve": Entry("serve", "Serve", "Opens a local page to forget concepts and compare images."),
    "layers": Entry("layers", "Layers", "Lists the layers of a model that can be masked."),
    "stability": Entry("stability", "Stability", "Tells how many prompts a concept needs."),
    "publish": Entry("publish", "Publish", "Publishes a mask with its evidence and licence."),
    "library add": Entry("library", "Add", "Adds masks to a library, each concept as a mask of its own."),
    "library list": Entry("library", "List", "Lists the concepts of a library."),
    "library remove": Entry("library", "Remove", "Deletes concepts from a library."),
    "library compose": Entry("library", "Compose", "Makes one mask of some of a library's concepts."),
    "testbed demo": Entry("testbed", "Demo", "Forgets five of ten objects and shows what became of the rest."),
    "testbed sheet": Entry("testbed", "Sheet", "Generates everything the embedded model knows, on one sheet."),
    "testbed train": Entry("testbed", "Train", "Trains the embedded model, or its denoiser alone."),
    "bench": Entry("bench", "BenchCommand", "Compares FIA with other methods on the embedded model."),
    "completion": Entry("completion", "Completion", "Prints what makes a shell complete commands and flags."),
}

GROUPS = {
    "library": "Keeps masks of one concept each in a folder, and composes them.",
    "testbed": "The embedded model: see it forget, look at it, train it anew.",
}
