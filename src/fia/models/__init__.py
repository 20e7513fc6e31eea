"""What is known of the models: families, their pipelines, and the layers that can be masked."""
