"""Whatever changes a pipeline for a while."""
