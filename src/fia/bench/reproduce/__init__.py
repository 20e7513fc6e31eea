"""The paper's tasks on any model: every method that works there, and the paper's table beside the result."""
