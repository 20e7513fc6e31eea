"""Generates images, and lays them out side by side."""
