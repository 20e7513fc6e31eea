"""All that the package knows about models: families, their pipelines, and the layers that a mask may change."""
