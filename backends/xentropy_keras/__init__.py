"""Losses with Keras' names."""
