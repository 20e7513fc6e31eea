"""Generates images, and arranges them side by side."""
