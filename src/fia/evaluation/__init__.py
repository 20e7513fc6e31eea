"""Measures what a model still generates after an edit: tasks, judges, scores and the report."""
